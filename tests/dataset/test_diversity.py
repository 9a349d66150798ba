"""Diversity of a training set: over drawn questions, each question by its own solutions."""

from pathlib import Path

import pytest

from tasks.dataset import diversity as room
from tasks.dataset.config import DatasetConfig
from tasks.dataset.diversity import diversity
from tasks.dataset.schema import TRAIN
from tasks.shared.tables.parquet import write_parquet


def train(path: Path, solutions: dict[str, list[str]]) -> Path:
    rows = [
        {"prompt": "p", "completion": text, "question_id": question, "heuristic": "h", "rank": rank}
        for question, texts in solutions.items()
        for rank, text in enumerate(texts)
    ]
    write_parquet(rows, path / "train.parquet", TRAIN)
    return path / "train.parquet"


def test_each_question_is_measured_by_its_own_solutions(tmp_path: Path) -> None:
    table = train(tmp_path, {"a": ["x y", "x y"], "b": ["alone"], "c": ["one two", "three four"]})
    measured = diversity(table, DatasetConfig())
    assert (measured["questions"], measured["solutions"], measured["solutions_per_question"]) == (3, 5, 2)
    assert measured["vendi_per_question"] == pytest.approx((1 + 2) / 2)
    assert measured["self_bleu"] == pytest.approx(1 / 2, abs=0.01)


def test_single_solutions_have_no_diversity_of_a_question(tmp_path: Path) -> None:
    measured = diversity(train(tmp_path, {"a": ["x y"], "b": ["z"]}), DatasetConfig())
    assert (measured["vendi_per_question"], measured["self_bleu"]) == (None, None)
    assert measured["vendi_all"] == pytest.approx(2)


def test_a_large_set_is_measured_on_drawn_questions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "QUESTIONS", 5)
    table = train(
        tmp_path, {f"{index:03d}": [f"w {rank}" * (1 + index % 7) for rank in range(10)] for index in range(20)}
    )
    measured = diversity(table, DatasetConfig())
    assert (measured["questions"], measured["solutions"]) == (5, 5 * room.SOLUTIONS)
    assert diversity(table, DatasetConfig()) == measured != diversity(table, DatasetConfig(seed=1))
