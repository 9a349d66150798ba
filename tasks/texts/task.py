"""The texts stage as a Prefect task."""

from tasks.spine.stage.call import Stage
from tasks.spine.stage.plan import looked_at
from tasks.spine.stage.stage import Build
from tasks.spine.stage.task import stage_task
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.runtime import Runtime
from tasks.texts.config import TextsConfig
from tasks.texts.load import build_texts
from tasks.texts.schema import SOURCES
from tasks.texts.sources import resolve

TEXTS = Stage("texts", version=5, kind="texts")


@stage_task(TEXTS)
def load_resolved(build: Build, config: TextsConfig) -> None:
    """Load a resolved corpus; flows call `load_texts`."""
    counts = build_texts(config, build.out, build.work)
    build.record(
        rows={"train": counts.train, "evaluation": counts.evaluation, "rejects": counts.rejected},
        ledger=counts.ledger(),
        summary={"label": config.label(), **counts.summary()},
        sources=SOURCES,
    )


def load_texts(config: TextsConfig, runtime: Runtime, *, force: bool = False, label: str = "") -> ArtifactRef:
    """A corpus as an artifact of kind `texts`; its sources are hashed first, so a changed file is a miss."""
    return load_resolved(looked_at(config, resolve), runtime, force=force, label=label or config.label())
