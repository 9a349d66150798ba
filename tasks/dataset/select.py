"""Which of a question's solutions are taken, and in which order: deterministic, nested, without near-copies."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.dataset.config import DatasetConfig
from tasks.spine.store.fingerprint import digest_text

Row = Mapping[str, Any]

_TOKEN = re.compile(r"\w+|[^\w\s]")


@dataclass
class Selection:
    """Candidates of one question by what became of them; every candidate is in exactly one list."""

    chosen: list[Row] = field(default_factory=list)
    """Chosen rows in order of rank."""
    other_heuristics: list[Row] = field(default_factory=list)
    duplicates: list[Row] = field(default_factory=list)
    incomplete: list[Row] = field(default_factory=list)
    beyond_variants: list[Row] = field(default_factory=list)


def place(seed: int, *parts: str | int) -> int:
    """A 64-bit number drawn by seed and parts, the same in every process; subsets keep the smallest and so nest."""
    return int(digest_text("\0".join(map(str, (seed, *parts))))[:16], 16)


def select(candidates: Sequence[Row], config: DatasetConfig) -> Selection:
    """Rank one question's candidates and keep the first `variants` of them that are not copies."""
    result = Selection()
    wanted = []
    for row in candidates:
        taken = not config.heuristics or row["heuristic"] in config.heuristics
        (wanted if taken else result.other_heuristics).append(row)
    unique: list[Row] = []
    seen: list[frozenset[str]] = []
    for row in ranked(wanted, config):
        words = word_set(row["completion"])
        if any(similarity(words, other) >= config.near_duplicate for other in seen):
            result.duplicates.append(row)
        else:
            unique.append(row)
            seen.append(words)
    if config.full_only and len(unique) < config.variants:
        result.incomplete = unique
    else:
        result.chosen = unique[: config.variants]
        result.beyond_variants = unique[config.variants :]
    return result


def ranked(candidates: Iterable[Row], config: DatasetConfig) -> list[Row]:
    """All candidates in the order in which they are taken: one of each heuristic, then a second of each, and so on.

    Within a heuristic the best adherence comes first. The order does not depend on how many are taken.
    """
    by_heuristic: dict[str, list[Row]] = defaultdict(list)
    for row in candidates:
        by_heuristic[row["heuristic"]].append(row)

    def drawn(heuristic: str) -> int:
        return place(config.seed, by_heuristic[heuristic][0]["question_id"], heuristic)

    for rows in by_heuristic.values():
        rows.sort(key=lambda row: (-adherence(row), row["key"]))
    order = sorted(by_heuristic, key=drawn)
    if config.selection == "adherence":
        order.sort(key=lambda heuristic: -adherence(by_heuristic[heuristic][0]))
    rounds = max(map(len, by_heuristic.values()), default=0)
    return [by_heuristic[name][turn] for turn in range(rounds) for name in order if turn < len(by_heuristic[name])]


def adherence(row: Row) -> float:
    """How well a solution follows its heuristic; one that was not scored comes last."""
    score = row["adherence"]
    return float("-inf") if score is None or score != score else score


def word_set(text: str) -> frozenset[str]:
    """The words, numbers and signs that occur in a solution, in lower case."""
    return frozenset(_TOKEN.findall(text.casefold()))


def similarity(one: frozenset[str], other: frozenset[str]) -> float:
    """Jaccard index: the share of all members that both sets have; 1 for two empty sets."""
    common = len(one & other)
    every = len(one) + len(other) - common
    return common / every if every else 1.0
