"""Counting predictions: a position is the mean of its samples, a document all of its positions."""

from typing import Any

import numpy as np
import pytest

from tasks.predict.config import PredictConfig
from tasks.predict.schema import DIRECT, REASONING
from tasks.predict.score import ledger, score
from tasks.predict.tally import EXACT, PREFIX, tally


def row(document: str, position: int, tier: str, outcome: str = "right", **values: Any) -> dict[str, Any]:
    right = outcome == "right"
    return {
        "document_id": document,
        "position": position,
        "tier": tier,
        "mode": REASONING,
        "correct": right,
        "prefix_correct": right,
        "outcome": outcome,
        "reasoning_tokens": 10,
        **values,
    }


def with_direct(rows: list[dict[str, Any]], right: bool = False) -> list[dict[str, Any]]:
    places = {(found["document_id"], found["position"], found["tier"]) for found in rows}
    return rows + [
        row(*place, "right" if right else "wrong", mode=DIRECT, reasoning_tokens=-1) for place in sorted(places)
    ]


ROWS = with_direct(
    [
        row("a", 1, "easy"),
        row("a", 1, "easy", "wrong", prefix_correct=True, reasoning_tokens=30),
        row("a", 4, "easy", "no_prediction", reasoning_tokens=0),
        row("a", 4, "easy", "truncated", reasoning_tokens=40),
        row("b", 2, "hard"),
        row("b", 2, "hard"),
        row("b", 3, "medium"),
        row("b", 3, "medium", "wrong"),
    ]
)


def test_sums_are_means_over_samples_by_document_and_tier() -> None:
    found = tally(ROWS)
    assert found.documents == ("a", "b")
    np.testing.assert_array_equal(found.weights, [[2, 0, 0], [0, 1, 1]])
    np.testing.assert_array_equal(found.right[REASONING, EXACT], [[0.5, 0, 0], [0, 0.5, 1]])
    np.testing.assert_array_equal(found.right[REASONING, PREFIX], [[1, 0, 0], [0, 0.5, 1]])
    np.testing.assert_array_equal(found.right[DIRECT, EXACT], np.zeros((2, 3)))
    np.testing.assert_array_equal(found.lengths, [[40, 0, 0], [0, 10, 10]])


def test_the_order_of_rows_does_not_matter_and_positions_do() -> None:
    assert tally(ROWS[::-1]).positions_digest == tally(ROWS).positions_digest
    moved = [found | {"position": 9} if found["position"] == 3 else found for found in ROWS]
    assert tally(moved).positions_digest != tally(ROWS).positions_digest


@pytest.mark.parametrize("dropped", [0, len(ROWS) - 1])
def test_a_position_that_lacks_a_prediction_is_refused(dropped: int) -> None:
    with pytest.raises(ValueError, match="same number of predictions"):
        tally(ROWS[:dropped] + ROWS[dropped + 1 :])


def test_scores() -> None:
    summary = score(tally(ROWS), PredictConfig(samples=2, resamples=100, budget_tokens=7))
    reasoning = summary["accuracy"][REASONING][EXACT]
    assert {part: value["mean"] for part, value in reasoning.items()} == {
        "easy": 0.25,
        "medium": 0.5,
        "hard": 1.0,
        "mean": pytest.approx(1.75 / 3),
    }
    assert all(value["low"] <= value["mean"] <= value["high"] for value in reasoning.values())
    assert summary["accuracy"][REASONING][PREFIX]["easy"]["mean"] == 0.5
    assert summary["reasoning_tokens"]["mean"]["mean"] == pytest.approx((20 + 10 + 10) / 3)
    assert summary["outcomes"]["easy"] == {"right": 0.25, "wrong": 0.25, "no_prediction": 0.25, "truncated": 0.25}
    assert (summary["documents"], summary["positions"]) == (2, {"easy": 2, "medium": 1, "hard": 1})
    assert summary["budget_tokens"] == 7


def test_the_ledger_adds_up() -> None:
    assert ledger(tally(ROWS)) == {"completions": 8, "right": 4, "wrong": 2, "no_prediction": 1, "truncated": 1}


def test_without_a_tier_there_is_no_mean() -> None:
    found = tally([each for each in ROWS if each["tier"] != "medium"])
    assert found.parts == ("easy", "hard")
    assert "mean" not in score(found, PredictConfig(resamples=100))["accuracy"][DIRECT][EXACT]
