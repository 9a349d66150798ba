"""One base model through a recipe, compared with the earlier ones of its line, and registered."""

import itertools
import json
import logging
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from prefect.deployments import run_deployment
from pydantic import Field, JsonValue

from flows.pipeline.approval import wait_for_approval
from flows.pipeline.forms import About, Overrides, Recipe
from flows.pipeline.pages import show_results
from flows.pipeline.run import call, flow, pipeline
from flows.polya import polya
from flows.rmt import rmt
from flows.server.automations import awaits_restart
from flows.stages.evaluate import evaluate
from tasks.recipe.base import Recipe as AnyRecipe
from tasks.recipe.loading import load
from tasks.release.config import RELEASE, VERSION, ReleaseConfig, is_of
from tasks.release.flavour import add_files
from tasks.release.outcome import Decision, comparable, comparison, decide, evaluated, trained_model
from tasks.release.registry import EVALUATION, LABEL, champion, check, record, register
from tasks.report.task import report
from tasks.shared.models.task import import_model
from tasks.spine.stage.context import run_context
from tasks.spine.store.fingerprint import digest_text
from tasks.spine.store.manifest import Manifest, git_commit, package_versions
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.runtime import Runtime
from tasks.spine.store.store import Store
from tasks.spine.tracking.tracker import Tracker

log = logging.getLogger(__name__)

METHODS = {"polya": polya, "rmt": rmt}
POLL_S = 1.0
DIGEST_CHARS = 8

Model = Annotated[str, Field(min_length=1), About("The base model: folder, org/name of a hub, or s3://...")]
Revision = Annotated[str, About("Hub only: the commit that was released; empty: the newest.")]
Pipeline = Annotated[
    str,
    Field(pattern="^$|^[^/]+/[^/]+$"),
    About("Deployment that runs the recipe, as flow/name; empty: in this run."),
]
Metric = Annotated[
    str,
    Field(pattern=r"^(greedy|pass@\d+)$"),
    About("What decides which model leads: greedy, or pass@k."),
]


@flow(name="release", flow_run_name="release: {model}")
def release(
    model: Model = "embedded",
    revision: Revision = "",
    recipe: Recipe = "tiny-cpu",
    pipeline_deployment: Pipeline = "",
    metric: Metric = "pass@1",
    overrides: Overrides = {},  # noqa: B006 - Prefect shows the default in its form
) -> ArtifactRef | None:
    """Exactly one release of a model's weights through a recipe, however often and by whomever it is asked for.

    Returns the release: report, comparison with earlier models, decision about `champion`. None where another run is
    at it.
    """
    asked: dict[str, JsonValue] = {"model.source": model, "model.revision": revision}
    settings = load(AnyRecipe, recipe, {**overrides, **asked})
    base = import_model(settings.model, settings.runtime)
    config = ReleaseConfig(recipe=recipe, overrides=overrides)
    store, key = run_context().store, config.key(base)
    lease = store.lease(RELEASE, key, settings.runtime.lease_timeout_s)
    found = store.find(RELEASE, key)
    if found is None and not lease.try_acquire():
        log.info("%s with %s is being released by %s", model, recipe, lease.holder())
        return None
    if found is not None:
        log.info("%s with %s was released before: %s", model, recipe, found.ref)
        return found.ref
    with lease.held():
        found = store.find(RELEASE, key)
        if found is not None:
            return found.ref
        check(_tracker(model), config.line)
        ran = _run(settings.method, pipeline_deployment, key, recipe=recipe, overrides={**overrides, **asked})
        return _finish(store, settings, config, base, ran, metric)


def _run(method: str, deployment: str, key: str, **parameters: object) -> ArtifactRef:
    """The recipe's report: made in this run, or by a deployment, whose run a restarted release finds again."""
    if not deployment:
        return call(METHODS[method], **parameters)
    began = datetime.now(UTC)
    for attempt in itertools.count(1):
        asked = {"parameters": parameters, "idempotency_key": f"{key}-{attempt}", "poll_interval": 5}
        while awaits_restart(run := run_deployment(deployment, **asked)):
            time.sleep(POLL_S)
        if run.state is not None and run.state.is_completed():
            return ArtifactRef.model_validate(run.state.result())
        # A run that had failed before this release began is found under its key; then another one is due.
        if run.end_time is None or run.end_time >= began:
            raise RuntimeError(f"{deployment}: run {run.id} ended as {run.state.name if run.state else 'unknown'}")
    raise AssertionError("unreachable")


def _finish(
    store: Store, settings: AnyRecipe, config: ReleaseConfig, base: ArtifactRef, ran: ArtifactRef, metric: str
) -> ArtifactRef:
    """Measure what came out, compare, register, and publish the release."""
    trained = trained_model(store, store.manifest(ran), settings.method)
    label = f"{store.manifest(base).summary['source'].rstrip('/').rpartition('/')[2]} {base.digest[:DIGEST_CHARS]}"
    stage = {"recipe": config.recipe, "overrides": config.overrides}
    tags = {"recipe": config.recipe, "base_model": settings.model.source}
    with pipeline(f"release {label}", settings.runtime, tags):
        parents = {
            "model": base,
            "report": ran,
            "trained": trained,
            "base_evaluation": call(evaluate, model=base, label="Base", **stage),
            "evaluation": call(evaluate, model=trained, label=label, **stage),
        }
        with _turn(store, config, settings):
            measured = store.manifest(parents["evaluation"])
            earlier = [item for item in _line(store, config) if comparable(_evaluation(store, item), measured)]
            releases = [(item.summary["label"], item.parents) for item in earlier]
            report_config, evaluations = comparison(config.line, settings.notes, [*releases, (label, parents)])
            parents["comparison"] = report(report_config, settings.runtime, label=config.line, **evaluations)
            show_results(parents["comparison"])
            decision = _decide(store, config, parents, label, metric, settings.runtime)
            return _publish(store, config, base, parents, {"label": label, **decision.model_dump()})


def _line(store: Store, config: ReleaseConfig) -> list[Manifest]:
    """Earlier releases through the same recipe, oldest first."""
    return [item for item in store.all(RELEASE) if is_of(config, item.payload)]


def _evaluation(store: Store, release: Manifest) -> Manifest:
    return store.manifest(release.parents["evaluation"])


def _decide(
    store: Store, config: ReleaseConfig, parents: dict[str, ArtifactRef], label: str, metric: str, runtime: Runtime
) -> Decision:
    """Register as candidate; the lead moves only to what is better on the same questions."""
    tracker = _tracker(label)
    names = {"trained": parents["trained"], "evaluation": parents["evaluation"], "label": label}
    version = register(tracker, store, config.line, **names)
    leader = champion(tracker.client, config.line)
    if leader is not None and leader.version == version.version:
        return Decision(promote=True, reason=leader.description or "It leads already.")
    candidate = evaluated(store, parents["evaluation"], label)
    before = None
    if leader is not None:
        before = evaluated(store, store.ref(leader.tags[EVALUATION]), leader.tags[LABEL])
    if before is not None and not comparable(before.manifest, candidate.manifest):
        decision = Decision(promote=False, reason=f"Was asked other questions than {before.entry.label}, which leads.")
    else:
        decision = decide(before, candidate, metric)
    if decision.promote:
        wait_for_approval("promotion", runtime, lambda: f"**{label}** is to become `champion`. {decision.reason}")
        # Before the name moves: whoever asks for the champion finds files to load.
        add_files(tracker, store, parents["trained"])
    record(tracker.client, config.line, version, decision)
    log.info("%s: %s", label, decision.reason)
    return decision


def _tracker(name: str) -> Tracker:
    return run_context().tracker or Tracker(name, settings=run_context().settings)


@contextmanager
def _turn(store: Store, config: ReleaseConfig, settings: AnyRecipe) -> Iterator[None]:
    """One release of a line at a time is compared and registered: both look at which model leads."""
    lease = store.lease(RELEASE, digest_text(config.line), settings.runtime.lease_timeout_s)
    while not lease.try_acquire():
        time.sleep(POLL_S)
    with lease.held():
        yield


def _publish(
    store: Store, config: ReleaseConfig, base: ArtifactRef, parents: dict[str, ArtifactRef], summary: dict[str, Any]
) -> ArtifactRef:
    """The release becomes visible: from now on its base model is not new."""
    key = config.key(base)
    work = run_context().settings.work
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=work) as folder:
        out = Path(folder) / "out"
        out.mkdir()
        (out / "decision.json").write_text(json.dumps(summary, indent=1))
        fields = {"kind": RELEASE, "stage": RELEASE, "version": VERSION, "fingerprint": key}
        return store.publish(
            out,
            **fields,
            payload=config.payload(base),
            parents=parents,
            summary=summary,
            pools=(),
            git_commit=git_commit(),
            versions=package_versions(),
        ).ref
