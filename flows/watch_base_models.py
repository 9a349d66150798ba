"""Look at a source of base models, and have each that was not seen before released once."""

import logging
from typing import Annotated

from prefect.deployments import run_deployment
from pydantic import Field

from flows.pipeline.forms import About, Overrides, Recipe
from flows.pipeline.run import call, flow
from flows.release import Metric, Pipeline, release
from flows.server.automations import awaits_restart
from tasks.recipe.base import Recipe as AnyRecipe
from tasks.recipe.loading import load
from tasks.release.config import RELEASE, ReleaseConfig
from tasks.release.sources import Candidate, candidates
from tasks.shared.models.config import ModelConfig
from tasks.shared.models.files import Incomplete
from tasks.shared.models.task import import_model
from tasks.spine.stage.context import run_context

log = logging.getLogger(__name__)

Source = Annotated[
    str,
    About(
        "Folder or s3://... of checkpoints, registry:NAME, hub:AUTHOR or hub:OWNER/COLLECTION; empty: the "
        "folder models under MIDTRAIN_HOME."
    ),
]
Deployment = Annotated[
    str,
    Field(pattern="^$|^[^/]+/[^/]+$"),
    About("Deployment of release, as flow/name; empty: in this run."),
]
SettleS = Annotated[
    int, Field(ge=0, le=86400), About("A folder with a younger file, in seconds, is still being written.")
]
Attempts = Annotated[int, Field(ge=1, le=20), About("Runs of a deployment for a model, if they fail.")]


@flow(name="watch-base-models", flow_run_name="watch {source}")
def watch_base_models(
    source: Source = "",
    recipe: Recipe = "tiny-cpu",
    deployment: Deployment = "",
    pipeline_deployment: Pipeline = "",
    metric: Metric = "pass@1",
    settle_s: SettleS = 60,
    attempts: Attempts = 3,
    overrides: Overrides = {},  # noqa: B006 - Prefect shows the default in its form
) -> list[str]:
    """Start a release for every model whose weights have none; returns the sources it started.

    What was seen is what the store has releases of, so that there is nothing else to keep, and a model whose release
    failed is tried again, and one whose files are still on their way is waited for. One model that fails does not keep
    the others waiting.
    """
    settings = run_context().settings
    started, failed = [], {}
    passed_on = {"recipe": recipe, "pipeline_deployment": pipeline_deployment, "metric": metric, "overrides": overrides}
    for candidate in candidates(source or str(settings.root / "models"), settings, settle_s):
        try:
            key = _unseen(candidate, ReleaseConfig(recipe=recipe, overrides=overrides))
            if key is None:
                continue
            parameters = {"model": candidate.source, "revision": candidate.revision, **passed_on}
            if not deployment:
                new = call(release, **parameters) is not None
            else:
                new = _dispatch(deployment, key, attempts, parameters)
            started += [candidate.source] if new else []
        except Incomplete as error:
            log.warning("not whole yet, looked at again next time: %s", error)
        except Exception as error:
            log.exception("%s was not released", candidate.source)
            failed[candidate.source] = error
    if failed:
        reasons = "\n".join(f"{name}: {error}" for name, error in failed.items())
        raise RuntimeError(f"{len(failed)} base models were not released:\n{reasons}")
    return started


def _unseen(candidate: Candidate, config: ReleaseConfig) -> str | None:
    """Key of the release that a model needs; None where it has one or another run is making it."""
    settings = load(AnyRecipe, config.recipe, config.overrides)
    base = import_model(ModelConfig(source=candidate.source, revision=candidate.revision), settings.runtime)
    store, key = run_context().store, config.key(base)
    found = store.find(RELEASE, key)
    holder = store.lease(RELEASE, key, settings.runtime.lease_timeout_s).living_holder()
    if found is None and holder is None:
        return key
    log.info("%s: %s", candidate.source, f"released before, {found.ref}" if found else f"being released by {holder}")
    return None


def _dispatch(deployment: str, key: str, attempts: int, parameters: dict[str, object]) -> bool:
    """Start a run of the release for these weights unless there is one; True until it begins.

    The server refuses a second run under the same key, so two watchers at once start one.
    """
    for attempt in range(1, attempts + 1):
        run = run_deployment(
            deployment,
            parameters=parameters,
            idempotency_key=f"{key}-{attempt}",
            timeout=0,
            as_subflow=False,
        )
        state = run.state
        if state is None or not state.is_final() or awaits_restart(run):
            log.info("%s: run %s, %s", parameters["model"], run.id, state.name if state else "unknown")
            return state is None or state.is_scheduled()
        log.warning("%s: run %s ended as %s", parameters["model"], run.id, state.name)
    raise RuntimeError(f"{attempts} runs of {deployment} ended without a release; see what the last one says")
