"""How different the solutions of a training set are, on questions drawn from it: it costs the same for any set."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from tasks.dataset.config import DatasetConfig
from tasks.dataset.select import place
from tasks.shared.diversity.self_bleu import self_bleu
from tasks.shared.diversity.vendi import Features, embedding_features, ngram_features, vendi_score, words
from tasks.shared.tables.parquet import read_rows

QUESTIONS = 200
"""Questions that are measured, drawn by the set's seed. Ours."""
SOLUTIONS = 8
"""Solutions of each, those of lowest rank. Ours."""
NGRAMS = "word n-grams"

Drawn = list[list[str]]


def diversity(train: Path, config: DatasetConfig) -> dict[str, Any]:
    """Vendi scores per question and over all, and self-BLEU, of a training set, with what they were computed from.

    Means per question are over those with several solutions; None where none has any.
    """
    drawn = _drawn(train, config.seed)
    features = _features([text for texts in drawn for text in texts], config.embedding)
    several = [texts for texts in drawn if len(texts) > 1]
    return {
        "kernel": config.embedding or NGRAMS,
        "questions": len(drawn),
        "solutions": len(features),
        "vendi_all": vendi_score(features),
        "vendi_per_question": _mean(_vendi_of_each(drawn, features)),
        "solutions_per_question": _mean(map(len, several)),
        "self_bleu": _mean(self_bleu([words(text) for text in texts]) for texts in several),
    }


def _drawn(train: Path, seed: int) -> Drawn:
    """Solutions of the questions whose places are the smallest; as many are held in memory as are drawn."""
    rows = read_rows(train, ["question_id", "completion"])
    groups = (
        (place(seed, question), question, [row["completion"] for row in group][:SOLUTIONS])
        for question, group in groupby(rows, key=lambda row: row["question_id"])
    )
    return [texts for _, _, texts in heapq.nsmallest(QUESTIONS, groups)]


def _features(texts: Sequence[str], embedding: str) -> Features:
    return embedding_features(texts, embedding) if embedding else ngram_features(texts)


def _vendi_of_each(drawn: Drawn, features: Features) -> Iterator[float]:
    start = 0
    for texts in drawn:
        if len(texts) > 1:
            yield vendi_score(features[start : start + len(texts)])
        start += len(texts)


def _mean(values: Iterable[float]) -> float | None:
    listed = list(values)
    return sum(listed) / len(listed) if listed else None
