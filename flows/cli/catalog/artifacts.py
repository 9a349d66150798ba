"""`midtrain ls` and `midtrain show`: what the store has, each model with its label and the folder of its files."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.cli.gc import size
from flows.cli.output import from_here, print_json
from tasks.report.models import MODEL, labels
from tasks.report.render.terminal import terminal_tables
from tasks.report.show import tables
from tasks.spine.stage.context import run_context
from tasks.spine.store.lineage import describe
from tasks.spine.store.manifest import Manifest
from tasks.spine.store.store import ArtifactMissing, Store


def list_artifacts(kind: str, as_json: bool, console: Console) -> None:
    """Print the artifacts of one kind, or of all, oldest first.

    Raises:
        ArtifactMissing: there is none.
    """
    store = run_context().store
    found = store.all(kind or None)
    if not found:
        kinds = sorted({manifest.kind for manifest in store.all()})
        there = f"it has {', '.join(kinds)}" if kinds else "it is empty; `midtrain run polya` fills it"
        raise ArtifactMissing(f"nothing{kind and f' of kind {kind}'} in the store {store.files.uri}: {there}")
    rows = [_row(store, manifest, label) for manifest, label in _labelled(store, found)]
    if as_json:
        return print_json(rows)
    for row in rows:
        line = Text.assemble((row["artifact"], "bold cyan"), f"  {row['label'] or row['stage']}")
        console.print(line.append(f"  {row['created_at']}", "dim"))
        if row["kind"] == MODEL:
            console.print(Text(f"    {from_here(row['path'])}", "dim"), soft_wrap=True)


def show_artifact(name: str, as_json: bool, console: Console) -> None:
    """Print what is known of one artifact: label, place, counts, parents, files, scores.

    Raises:
        ArtifactMissing: it is not in the store.
    """
    store = run_context().store
    manifest = store.manifest(name)
    ((_, label),) = _labelled(store, [manifest])
    row = _row(store, manifest, label)
    if as_json:
        return print_json({**manifest.model_dump(mode="json"), **row})
    console.print(Text.assemble((row["artifact"], "bold cyan"), f"  {label}"))
    facts = {"files in": from_here(row["path"]), **describe(manifest)}
    made_from = {role: str(ref) for role, ref in manifest.parents.items()}
    for name, text in {**facts, **made_from}.items():
        console.print(Text.assemble((f"{name}: ", "dim"), text), soft_wrap=True)
    listed = Table("file", "size", title="Files")
    listed.columns[1].justify = "right"
    for entry in manifest.files:
        listed.add_row(entry.path, size(entry.size))
    console.print(listed)
    for table in terminal_tables(tables(manifest)):
        console.print(table)


def _labelled(store: Store, manifests: Sequence[Manifest]) -> list[tuple[Manifest, str]]:
    called = labels(store, manifests)
    return [(manifest, called[manifest.ref]) for manifest in manifests]


def _row(store: Store, manifest: Manifest, label: str) -> dict[str, Any]:
    return {
        "artifact": str(manifest.ref),
        "kind": manifest.kind,
        "label": label,
        "stage": manifest.stage,
        "created_at": manifest.created_at,
        "rows": manifest.rows,
        "bytes": sum(entry.size for entry in manifest.files),
        "path": store.place(manifest),
    }
