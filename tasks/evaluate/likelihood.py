"""The likelihood that a model gives to right solutions which it was not trained on."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np

from tasks.errors import Permanent
from tasks.evaluate.config import EvaluateConfig
from tasks.filter.adherence.config import LikelihoodScorer
from tasks.filter.adherence.scores import scores
from tasks.filter.schema import KEPT_FILE
from tasks.shared.prompts.render import Renderer
from tasks.shared.statistics.bootstrap import bootstrap_draws
from tasks.shared.tables.parquet import Row, read_rows
from tasks.spine.stage.stage import Build

SOLUTIONS = "solutions"
"""Role of the parent with the solutions, an artifact of `filter`."""


def likelihood_of_solutions(build: Build, config: EvaluateConfig) -> dict[str, Any]:
    """Entry `likelihood` of the summary: nats a token after the plain prompt, with an interval over questions.

    A question counts once, with the mean of its solutions. Empty where no solutions are asked for.

    Raises:
        Permanent: there are none in the artifact.
    """
    if SOLUTIONS not in build.parents:
        return {}
    file = build.path(SOLUTIONS) / KEPT_FILE
    renderer = Renderer.for_model(
        config.shown_prompt, build.path("model"), trust_remote_code=build.runtime.trust_remote_code
    )
    found = scores(build, LikelihoodScorer(), _texts(read_rows(file), renderer), renderer.form)
    by_question: dict[str, list[float]] = defaultdict(list)
    for row in read_rows(file, ["key", "question_id"]):
        if row["key"] in found:
            by_question[row["question_id"]].append(found[row["key"]])
    if not by_question:
        raise Permanent(
            f"evaluate.solutions={config.solutions!r} kept no solution; name an artifact of filter that has some"
        )
    values = np.array([np.mean(by_question[question]) for question in sorted(by_question)])
    tail = (1.0 - config.confidence) / 2.0
    draws = bootstrap_draws(values, resamples=config.resamples, seed=config.seed)
    low, high = np.quantile(draws, [tail, 1.0 - tail]).tolist()
    sizes = {"questions": len(values), "solutions": len(found)}
    return {"likelihood": {"mean": float(values.mean()), "low": low, "high": high, **sizes}}


def _texts(kept: Iterator[Row], renderer: Renderer) -> Iterator[Row]:
    """Rows of schema `TO_SCORE`, as the model would meet them."""
    for row in kept:
        yield {
            "key": row["key"],
            "question": row["question"],
            "heuristic": row["heuristic"],
            "prompt": "",
            "plain": renderer.plain(row["question"]),
            "completion": renderer.completion(row["completion"]),
        }
