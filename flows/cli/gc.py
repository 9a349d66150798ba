"""`midtrain gc`: what nothing needs any more, with sizes, and its deletion when asked for."""

import os
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.cli.output import model_name, print_json
from tasks.report.models import NamedModel, named_models
from tasks.spine.store.gc import delete, look
from tasks.spine.store.gc_plan import GCPlan, Item, plan
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.settings import Settings
from tasks.spine.store.store import Store

DAY_S = 86_400.0
Named = Mapping[ArtifactRef, NamedModel]


def collect(
    settings: Settings,
    console: Console,
    *,
    keep_days: float,
    keep: Sequence[str],
    drop: Sequence[str],
    yes: bool,
    as_json: bool = False,
) -> int:
    """List garbage, or delete it with `yes`. Returns an exit code: a failure where something listed stays."""
    store = Store.open(settings)
    named = {store.ref(name): "named by --keep" for name in keep}
    dropped = {store.ref(name) for name in drop}
    registered = registered_artifacts(settings)
    snapshot = look(store, settings)
    known = {str(ref): ref for ref in snapshot.contents}
    by_digest = {ref.digest: ref for ref in snapshot.contents}
    found = [known.get(name) or by_digest.get(name) for name in registered]
    reports = {ref: "report" for ref in snapshot.contents if ref.kind == "report" and ref not in dropped}
    roots: dict[ArtifactRef, str] = {**reports, **{ref: "registered in MLflow" for ref in found if ref}, **named}
    plan_ = plan(snapshot, roots, time.time() - keep_days * DAY_S)
    total = sum(extent.size for extent in snapshot.files.values())
    going = [snapshot.contents[item.ref] for item in plan_.items if item.ref is not None]
    called = named_models(store, going)
    if as_json:
        stayed = _delete(store, settings, plan_) if yes else {}
        print_json(_record(plan_, called, total, yes, stayed))
        return int(bool(stayed))
    console.print(items_table(plan_))
    for model in called.values():
        console.print(Text.assemble("Model:     ", model_name(model, " " * 11)), soft_wrap=True)
    console.print(_summary(plan_, total))
    if not plan_.items:
        return 0
    if not yes:
        console.print("Nothing was deleted; --yes deletes it. Let no pipeline run meanwhile.")
        return 0
    stayed = _delete(store, settings, plan_)
    for path, why in stayed.items():
        console.print(f"stays: {path}: {why}", soft_wrap=True)
    gone = sum(item.extent.size for item in plan_.items if item.path not in stayed)
    console.print(f"Deleted {len(plan_.items) - len(stayed)} of {len(plan_.items)}, {size(gone)}.")
    return int(bool(stayed))


def _delete(store: Store, settings: Settings, plan_: GCPlan) -> dict[str, str]:
    """Delete what the plan lists; returns the paths that stay, and why."""
    return {item.path: why for item, why in delete(store, settings, plan_) if why}


def _record(plan_: GCPlan, called: Named, total: int, deleted: bool, stayed: Mapping[str, str]) -> dict[str, Any]:
    """What `gc` says, for programs."""
    items = [
        {
            "what": item.what,
            "path": item.path,
            "bytes": item.extent.size,
            "changed": _day(item),
            "why": item.why,
            **({"label": called[item.ref].label, "files": called[item.ref].path} if item.ref in called else {}),
            "deleted": deleted and item.path not in stayed,
            "stays_because": stayed.get(item.path),
        }
        for item in plan_.items
    ]
    kept = {str(ref): why for ref, why in plan_.kept.items()}
    return {"items": items, "bytes": plan_.size, "store_bytes": total, "kept": kept}


def registered_artifacts(settings: Settings) -> set[str]:
    """Digests of the models in MLflow's registry, all versions, and names of the artifacts their tags refer to.

    Raises:
        ValueError: MLflow does not answer, so what is registered there is unknown.
    """
    if settings.mlflow_file is not None and not settings.mlflow_file.exists():
        return set()
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    from tasks.spine.tracking.tracker import Tracker

    found: set[str] = set()
    try:
        client = Tracker("gc", settings=settings).client
        token = None
        while True:
            page = client.search_model_versions(page_token=token)
            for version in page:
                found |= set(version.tags.values())
                logged = re.fullmatch(r"models:/(m-[^/@]+)", version.source or "")
                if logged:
                    found |= set(client.get_logged_model(logged[1]).tags.values())
            token = page.token
            if not token:
                return found
    except Exception as error:
        raise ValueError(
            f"MLflow at {settings.mlflow_shown} does not answer, and what is registered there must stay: {error}. "
            "Start it, or unset MIDTRAIN_TRACKING_URI and MLFLOW_TRACKING_URI if there is none any more"
        ) from error


def items_table(plan_: GCPlan) -> Table:
    """What can go, with sizes."""
    table = Table(title="What nothing needs")
    for column in ("what", "size", "changed", "where", "why"):
        table.add_column(
            column, justify="right" if column == "size" else "left", no_wrap=column not in ("where", "why")
        )
    for item in plan_.items:
        table.add_row(item.what, size(item.extent.size), _day(item), item.path, item.why)
    return table


def size(count: int) -> str:
    """Bytes for people."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def _summary(plan_: GCPlan, total: int) -> str:
    reasons = Counter("needed by these" if why.endswith(" needs it") else why for why in plan_.kept.values())
    kept = ", ".join(f"{count} {why}" for why, count in reasons.items())
    text = f"{size(plan_.size)} can go ({len(plan_.items)} entries). The store has {size(total)}."
    return f"{text} {len(plan_.kept)} artifacts stay{f' ({kept})' if kept else ''}."


def _day(item: Item) -> str:
    return datetime.fromtimestamp(item.extent.changed, UTC).date().isoformat() if item.extent.changed else "-"
