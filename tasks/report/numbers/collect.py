"""Reading evaluations: per question, how many completions were right."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from tasks.evaluate.schema import SAMPLES_FILE
from tasks.report.config import ReportEntry
from tasks.shared.tables.parquet import Row, opened, read_columns
from tasks.spine.store.manifest import Manifest

GREEDY_INDEX = -1
Votes = dict[tuple[str, str], tuple[list[int], list[int]]]
"""Samples in each class of equal answers, and right ones among them, by benchmark and question."""


@dataclass(frozen=True)
class QuestionScores:
    """Results on one benchmark, a value per question, ordered by question id."""

    ids: tuple[str, ...]
    samples: int
    """Completions of every question, the greedy one not counted."""
    correct: np.ndarray
    """Right ones among them, int, shape (questions,)."""
    greedy: np.ndarray | None
    """1.0 where the greedy completion is right, shape (questions,); None where there was none."""
    votes: tuple[list[int], ...] = ()
    """Samples in each class of equal answers, by question."""
    right_votes: tuple[list[int], ...] = ()
    """Right ones among them."""
    rewards: tuple[list[float | None], ...] = ()
    """Score by a reward model of each sample, by question; none without such a model."""
    right_rewarded: tuple[list[int], ...] = ()
    """1 for those of these samples that are right."""

    def without(self, ids: Collection[str]) -> "QuestionScores":
        """The same without some questions."""
        left = np.array([question not in ids for question in self.ids], dtype=bool)
        return QuestionScores(
            ids=tuple(compress(self.ids, left)),
            samples=self.samples,
            correct=self.correct[left],
            greedy=None if self.greedy is None else self.greedy[left],
            votes=tuple(compress(self.votes, left)),
            right_votes=tuple(compress(self.right_votes, left)),
            rewards=tuple(compress(self.rewards, left)),
            right_rewarded=tuple(compress(self.right_rewarded, left)),
        )


@dataclass(frozen=True)
class Evaluated:
    """One evaluation artifact, read."""

    entry: ReportEntry
    manifest: Manifest
    benchmarks: dict[str, QuestionScores]


def read_evaluation(entry: ReportEntry, manifest: Manifest, folder: Path) -> Evaluated:
    """Counts per question from an evaluation's samples.

    Raises:
        ValueError: questions of one benchmark have different numbers of samples, which would bias pass@k.
    """
    file = folder / SAMPLES_FILE
    with opened(file) as parquet:
        rewarded = ["reward"] if "reward" in parquet.schema_arrow.names else []
    table = read_columns(file, ["benchmark", "question_id", "sample_index", "verdict", "vote", *rewarded])
    right = pc.cast(pc.equal(table["verdict"], "correct"), "int64")
    is_greedy = pc.equal(table["sample_index"], GREEDY_INDEX)
    table = table.append_column("right", right)
    keys = ["benchmark", "question_id"]
    counted = table.filter(pc.invert(is_greedy))
    sampled = counted.group_by(keys).aggregate([("right", "sum"), ("right", "count")])
    classes = counted.filter(pc.is_valid(counted["vote"])).group_by([*keys, "vote"])
    greedy = {(row["benchmark"], row["question_id"]): row["right"] for row in table.filter(is_greedy).to_pylist()}
    rows: dict[str, dict[str, tuple[int, int]]] = {}
    for row in sampled.to_pylist():
        rows.setdefault(row["benchmark"], {})[row["question_id"]] = (row["right_sum"], row["right_count"])
    votes: Votes = defaultdict(lambda: ([], []))
    for row in classes.aggregate([("right", "sum"), ("right", "count")]).sort_by("vote").to_pylist():
        cast, good = votes[row["benchmark"], row["question_id"]]
        cast.append(row["right_count"])
        good.append(row["right_sum"])
    found = {name: _scores(name, rows[name], greedy, votes) for name in sorted(rows)}
    if rewarded:
        lists = counted.group_by(keys).aggregate([("reward", "list"), ("right", "list")])
        ranked = {(row["benchmark"], row["question_id"]): row for row in lists.to_pylist()}
        found = {
            name: _rewarded(scores, [ranked[name, question] for question in scores.ids])
            for name, scores in found.items()
        }
    return Evaluated(entry, manifest, found)


def _rewarded(scores: QuestionScores, ranked: Sequence[Row]) -> QuestionScores:
    """The same with what a reward model said of the samples of each question."""
    return replace(
        scores,
        rewards=tuple(row["reward_list"] for row in ranked),
        right_rewarded=tuple(row["right_list"] for row in ranked),
    )


def _scores(
    benchmark: str, questions: dict[str, tuple[int, int]], greedy: dict[tuple[str, str], int], votes: Votes
) -> QuestionScores:
    ids = tuple(sorted(questions))
    counts = {questions[question][1] for question in ids}
    if len(counts) != 1:
        raise ValueError(f"{benchmark}: questions have {min(counts)} to {max(counts)} samples; evaluate it again")
    decoded = [greedy[benchmark, question] for question in ids if (benchmark, question) in greedy]
    return QuestionScores(
        ids=ids,
        samples=counts.pop(),
        correct=np.array([questions[question][0] for question in ids]),
        greedy=np.array(decoded, dtype=float) if len(decoded) == len(ids) else None,
        votes=tuple(votes[benchmark, question][0] for question in ids),
        right_votes=tuple(votes[benchmark, question][1] for question in ids),
    )


def benchmarks(evaluations: Iterable[Evaluated]) -> tuple[str, ...]:
    """Benchmarks that every evaluation has, in the order of the first one's scores."""
    several = list(evaluations)
    order = list(several[0].manifest.summary.get("scores", several[0].benchmarks)) if several else []
    return tuple(name for name in order if all(name in evaluated.benchmarks for evaluated in several))


def same_questions(benchmark: str, evaluations: Sequence[Evaluated]) -> None:
    """Raise ValueError unless all evaluations asked the same questions equally often: nothing else can be compared."""
    first = evaluations[0]
    for other in evaluations[1:]:
        one, two = first.benchmarks[benchmark], other.benchmarks[benchmark]
        if one.ids != two.ids or one.samples != two.samples:
            raise ValueError(
                f"{benchmark}: {first.entry.evaluation} has {len(one.ids)} questions x {one.samples} samples and "
                f"{other.entry.evaluation} {len(two.ids)} x {two.samples}, or other questions; "
                "evaluate both with the same benchmark settings"
            )
