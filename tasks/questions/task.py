"""The questions stage as a Prefect task."""

from tasks.questions.config import QuestionsConfig
from tasks.questions.load import build_questions
from tasks.questions.schema import SOURCE
from tasks.questions.sources import resolve
from tasks.spine.stage.call import Stage
from tasks.spine.stage.plan import looked_at
from tasks.spine.stage.stage import Build
from tasks.spine.stage.task import stage_task
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.runtime import Runtime

QUESTIONS = Stage("questions", version=5, kind="questions")


@stage_task(QUESTIONS)
def load_resolved(build: Build, config: QuestionsConfig) -> None:
    """Load a resolved question set; flows call `load_questions`."""
    counts = build_questions(config, build.out, build.work)
    ledger = counts.ledger()
    build.record(
        rows={"questions": counts.kept, "rejects": counts.rejected},
        ledger=ledger,
        summary={"label": config.label(), "reject_reasons": dict(counts.reasons.most_common(20))},
        sources=[SOURCE],
    )


def load_questions(config: QuestionsConfig, runtime: Runtime, *, force: bool = False, label: str = "") -> ArtifactRef:
    """A question set as an artifact of kind `questions`; the source is hashed first, so a changed file is a miss."""
    return load_resolved(looked_at(config, resolve), runtime, force=force, label=label or config.label())
