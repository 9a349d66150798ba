"""The mid-training table, written from kept solutions: streamed, with every row and token accounted for."""

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.dataset.config import DatasetConfig, PromptSetConfig
from tasks.dataset.schema import RL, RL_FILE, TRAIN, TRAIN_FILE
from tasks.dataset.select import place, select
from tasks.errors import Permanent
from tasks.shared.tables.parquet import read_rows, write_parquet

CANDIDATE_COLUMNS = ("question_id", "question", "heuristic", "completion", "adherence", "completion_tokens", "key")
EXAMPLES = 3

_SELECTED = pa.schema(
    [
        pa.field("question_id", pa.string(), nullable=False),
        pa.field("question", pa.string(), nullable=False),
        pa.field("heuristic", pa.string(), nullable=False),
        pa.field("rank", pa.int32(), nullable=False),
        pa.field("completion", pa.string(), nullable=False),
        pa.field("completion_tokens", pa.int32(), nullable=False),
    ]
)
_PARTS = ("other_heuristics", "duplicates", "incomplete", "beyond_variants", "beyond_questions", "beyond_rows", "kept")

Render = Callable[[str], str]

_ADVICE = "Take easier questions, a stronger base model or more samples; where many are cut, more tokens"


class NothingToTrainOn(Permanent):
    """No solution is left for training; the message says where they went."""


@dataclass
class DatasetTally:
    """Counts of rows and tokens by what became of them, and examples for the card."""

    rows: Counter[str] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)
    questions: int = 0
    heuristics: Counter[str] = field(default_factory=Counter)
    ranks: Counter[int] = field(default_factory=Counter)
    examples: list[dict[str, Any]] = field(default_factory=list)

    def add(self, part: str, rows: Iterable[Any]) -> None:
        """Count rows under `part`."""
        for row in rows:
            self.rows[part] += 1
            self.tokens[part] += row["completion_tokens"]

    def ledger(self) -> dict[str, int]:
        """Rows, then completion tokens, by part; raises AssertionError if one was lost or counted twice."""
        ledger = {}
        for unit, counts in (("", self.rows), ("tokens_", self.tokens)):
            assert counts["candidates"] == sum(counts[part] for part in _PARTS), f"{unit or 'rows'}: {dict(counts)}"
            ledger |= {f"{unit}{part}": counts[part] for part in ("candidates", *_PARTS)}
        return ledger


def write_solutions(
    config: DatasetConfig,
    candidates: Path,
    out: Path,
    work: Path,
    *,
    prompt: Render,
    completion: Render = str,
) -> DatasetTally:
    """Write train.parquet, sorted by question id and rank, from a table of candidates sorted by question id.

    Args:
        candidates: kept.parquet of filtering (or its table of wrong solutions).
        work: folder for temporary tables; what is written there is removed.
        prompt, completion: turn a question, and a solution's text, into the exact training text.

    Raises `NothingToTrainOn` when fewer than `min_rows` rows are left. Memory does not grow with rows; only the limits
    hold 8 to 32 bytes for each question, or row, that they choose from.
    """
    tally = DatasetTally()
    work.mkdir(parents=True, exist_ok=True)
    selected = work / "selected.parquet"
    write_parquet(_selected(config, candidates, tally), selected, _SELECTED, sorted_by=("question_id", "rank"))
    rows = _within_questions(config, selected, tally)
    if config.max_rows is not None or config.max_tokens is not None:
        fewer = work / "fewer.parquet"
        write_parquet(rows, fewer, _SELECTED)
        rows = _within_rows(config, fewer, tally)
    finished = _finished(rows, tally, prompt, completion)
    write_parquet(finished, out / TRAIN_FILE, TRAIN, sorted_by=("question_id", "rank"))
    for temporary in work.glob("*.parquet"):
        temporary.unlink()
    ledger = tally.ledger()
    if ledger["kept"] < config.min_rows:
        raise NothingToTrainOn(_too_little(candidates, tally, config.min_rows))
    return tally


def write_prompts(config: PromptSetConfig, questions: Path, out: Path, *, prompt: Render) -> dict[str, int]:
    """Write rl.parquet from questions.parquet; returns the ledger: read = kept + beyond_questions."""
    places = (place(config.seed, row["id"]) for row in read_rows(questions, ["id"]))
    within = _Smallest(places, config.max_questions)
    beyond = 0

    def rows() -> Iterator[dict[str, str]]:
        nonlocal beyond
        for row in read_rows(questions, ["id", "question", "answer"]):
            if within.takes(place(config.seed, row["id"])):
                yield {"prompt": prompt(row["question"]), "answer": row["answer"], "question_id": row["id"]}
            else:
                beyond += 1

    kept = write_parquet(rows(), out / RL_FILE, RL, sorted_by=("question_id",))
    if not kept:
        raise NothingToTrainOn(f"{questions}: no questions for RL; check the questions stage that wrote it")
    return {"read": kept + beyond, "kept": kept, "beyond_questions": beyond}


def _selected(config: DatasetConfig, candidates: Path, tally: DatasetTally) -> Iterator[dict[str, Any]]:
    rows = read_rows(candidates, CANDIDATE_COLUMNS)
    for _, group in groupby(rows, key=lambda row: row["question_id"]):
        of_question = list(group)
        tally.add("candidates", of_question)
        selection = select(of_question, config)
        for part in ("other_heuristics", "duplicates", "incomplete", "beyond_variants"):
            tally.add(part, getattr(selection, part))
        for rank, row in enumerate(selection.chosen):
            yield {**{name: row[name] for name in _SELECTED.names if name != "rank"}, "rank": rank}


def _within_questions(config: DatasetConfig, selected: Path, tally: DatasetTally) -> Iterator[dict[str, Any]]:
    places = (
        place(config.seed, row["question_id"])
        for row in read_rows(selected, ["question_id", "rank"])
        if row["rank"] == 0
    )
    within = _Smallest(places, config.max_questions)
    for question_id, group in groupby(read_rows(selected), key=lambda row: row["question_id"]):
        if within.takes(place(config.seed, question_id)):
            yield from group
        else:
            tally.add("beyond_questions", group)


def _within_rows(config: DatasetConfig, selected: Path, tally: DatasetTally) -> Iterator[dict[str, Any]]:
    def place_of(row: dict[str, Any]) -> int:
        return place(config.seed, row["question_id"], row["rank"])

    places = array("Q", map(place_of, read_rows(selected, ["question_id", "rank"])))
    count = config.max_rows
    if config.max_tokens is not None:
        tokens = [row["completion_tokens"] for row in read_rows(selected, ["completion_tokens"])]
        order = np.argsort(np.frombuffer(places, dtype=np.uint64))
        fitting = int(np.searchsorted(np.cumsum(np.array(tokens)[order]), config.max_tokens, side="right"))
        count = min(fitting, config.max_rows or fitting)
    within = _Smallest(places, count)
    for row in read_rows(selected):
        if within.takes(place_of(row)):
            yield row
        else:
            tally.add("beyond_rows", [row])


def _finished(
    rows: Iterable[dict[str, Any]], tally: DatasetTally, prompt: Render, completion: Render
) -> Iterator[dict[str, Any]]:
    for question_id, group in groupby(rows, key=lambda row: row["question_id"]):
        tally.questions += 1
        for row in group:
            tally.add("kept", [row])
            tally.heuristics[row["heuristic"]] += 1
            tally.ranks[row["rank"]] += 1
            finished = {
                "prompt": prompt(row["question"]),
                "completion": completion(row["completion"]),
                "question_id": question_id,
                "heuristic": row["heuristic"],
                "rank": row["rank"],
            }
            if len(tally.examples) < EXAMPLES:
                tally.examples.append(finished)
            yield finished


class _Smallest:
    """Takes the `count` smallest of some places, holding 8 bytes for each; None takes all."""

    def __init__(self, places: Iterable[int], count: int | None) -> None:
        self._last: int | None = None
        if count is not None:
            every = array("Q", places)
            if not count:
                self._last = -1
            elif len(every) > count:
                self._last = int(np.partition(np.frombuffer(every, dtype=np.uint64), count - 1)[count - 1])

    def takes(self, place: int) -> bool:
        """Whether this place is among them."""
        return self._last is None or place <= self._last


def _too_little(candidates: Path, tally: DatasetTally, min_rows: int) -> str:
    if not tally.rows["candidates"]:
        return (
            f"nothing to train on: {candidates.name} is empty, so generation and filtering left no usable solution. "
            f"{_ADVICE}"
        )
    where = ", ".join(f"{count} {part}" for part, count in tally.rows.items() if part != "candidates" and count)
    left = tally.rows["kept"]
    if left:
        return (
            f"too little to train on: {left} rows, fewer than dataset.min_rows={min_rows}, are left of "
            f"{tally.rows['candidates']} candidates ({where}). {_ADVICE}"
        )
    return (
        f"nothing to train on: none of {tally.rows['candidates']} candidates is left ({where}); "
        "check dataset.heuristics, dataset.full_only, dataset.variants and dataset.max_tokens"
    )
