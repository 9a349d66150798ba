"""Scores of all solutions by the scorer that is asked for, on whatever machine it has."""

import logging
import math
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from tasks.filter.adherence.config import (
    CHUNK_REQUESTS,
    JudgeScorer,
    LikelihoodScorer,
    LocalScorer,
    NoScorer,
    RewardModelScorer,
    ScorerConfig,
    ScoringJob,
)
from tasks.filter.adherence.judge import judged
from tasks.filter.adherence.schema import TO_SCORE
from tasks.shared.engines.prompt_form import PromptForm
from tasks.shared.tables.parquet import Row, read_rows, write_parquet
from tasks.spine.stage.gpus import parts_here
from tasks.spine.stage.stage import Build

log = logging.getLogger(__name__)

WORKER = "tasks.filter.adherence.worker"
REWARD_MODEL = "reward_model"
"""Role of the parent that scores, where it is not the one that wrote the solutions."""


def scores(
    build: Build, scorer: ScorerConfig | LikelihoodScorer, rows: Iterator[Row], form: PromptForm
) -> dict[str, float]:
    """Scores by key of all rows (of schema `TO_SCORE`); what a killed run has scored is not scored again.

    A solution that the scorer cannot score has none; the artifact's summary says how many there are.
    """
    if isinstance(scorer, NoScorer):
        return {}
    requests = build.work / f"to_score_{scorer.type}.parquet"
    count = write_parquet(rows, requests, TO_SCORE)
    if not count:
        return {}
    if isinstance(scorer, JudgeScorer):
        found = dict(judged(build, scorer, requests))
    else:
        found = _by_workers(build, scorer, requests, count, form)
    if unscored := count - len(found):
        log.warning(
            "%d of %d solutions have no score: the judge's answer cannot be read, or the reward model's context does "
            "not hold them; they rank behind all others",
            unscored,
            count,
        )
        build.record(summary={"unscored": unscored})
    return found


def _by_workers(build: Build, scorer: LocalScorer, requests: Path, count: int, form: PromptForm) -> dict[str, float]:
    """Scores of a model that is loaded here, by a worker on each GPU."""
    folder = build.work / f"scores_{scorer.type}"
    folder.mkdir(exist_ok=True)
    job = ScoringJob(
        scorer=scorer,
        model=build.path(REWARD_MODEL if isinstance(scorer, RewardModelScorer) else "model"),
        requests=requests,
        scores=folder,
        form=form,
        runtime=build.runtime,
    )
    parts = parts_here(build.runtime, math.ceil(count / CHUNK_REQUESTS))
    build.workers(WORKER, [job.model_copy(update={"part": part}) for part in parts], name="scoring")
    rows = chain.from_iterable(read_rows(file, ["key", "adherence"]) for file in folder.glob("*.parquet"))
    return {row["key"]: row["adherence"] for row in rows}
