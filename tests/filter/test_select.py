"""Which samples are kept, and a ledger that adds up whatever comes."""

import random
from typing import Any

import pytest

from tasks.filter.config import FilterConfig
from tasks.filter.select import FilterTally, decide


def sample(
    index: int,
    verdict: str = "correct",
    adherence: float | None = 0.0,
    truncated: bool = False,
    ending: str = "whole",
    arithmetic: float | None = None,
    recovered: bool = False,
) -> dict[str, Any]:
    return {
        "key": f"k{index}",
        "question_id": "q0",
        "heuristic": "analogy",
        "sample_index": index,
        "verdict": verdict,
        "adherence": adherence,
        "truncated": truncated,
        "recovered": recovered,
        "ending": ending,
        "arithmetic": arithmetic,
        "completion_tokens": 10 + index,
    }


def kept(samples: list[dict[str, Any]], **settings: Any) -> list[str]:
    return [row["key"] for row in decide(samples, FilterConfig(**settings)).kept]


def test_the_best_scoring_correct_sample_is_kept() -> None:
    samples = [sample(0, adherence=0.1), sample(1, adherence=0.9), sample(2, "wrong", 2.0), sample(3, adherence=0.5)]
    decision = decide(samples, FilterConfig())
    assert [row["key"] for row in decision.kept] == ["k1"]
    assert decision.reasons == {"k0": "not_best", "k1": "", "k2": "wrong", "k3": "not_best"}


def test_without_scores_and_on_ties_the_first_wins() -> None:
    assert kept([sample(2, adherence=None), sample(1, adherence=None)]) == ["k1"]
    assert kept([sample(2, adherence=0.5), sample(1, adherence=0.5)]) == ["k1"]


def test_a_sample_that_was_cut_before_its_solution_was_finished_is_never_kept() -> None:
    decision = decide([sample(0, truncated=True, adherence=9.0), sample(1)], FilterConfig())
    assert [row["key"] for row in decision.kept] == ["k1"]
    assert decision.reasons["k0"] == "truncated"


def test_several_may_be_kept() -> None:
    samples = [sample(0, adherence=0.1), sample(1, adherence=0.9), sample(2, adherence=0.5)]
    assert kept(samples, keep_per_heuristic=2) == ["k1", "k2"]
    assert kept(samples, keep_per_heuristic=9) == ["k1", "k2", "k0"]


def test_a_threshold_drops_what_does_not_adhere() -> None:
    samples = [sample(0, adherence=-0.5), sample(1, adherence=-0.1)]
    decision = decide(samples, FilterConfig(min_adherence=0.0))
    assert decision.kept == []
    assert set(decision.reasons.values()) == {"not_adherent"}
    assert kept([*samples, sample(2, adherence=0.0)], min_adherence=0.0) == ["k2"]
    assert kept([sample(0, adherence=None)], min_adherence=0.0) == ["k0"]


def test_a_right_one_that_runs_on_is_dropped_and_one_that_was_cut_back_is_kept() -> None:
    samples = [sample(0, adherence=0.9, ending="runs_on"), sample(1, adherence=0.1, ending="cut_back")]
    decision = decide(samples, FilterConfig())
    assert [row["key"] for row in decision.kept] == ["k1"]
    assert decision.reasons == {"k0": "runs_on", "k1": ""}


def test_wrong_ones_that_run_on_stay_wrong_and_are_not_trained_on() -> None:
    decision = decide([sample(0, "wrong", ending="runs_on"), sample(1, "wrong", ending="cut_back")], FilterConfig())
    assert [row["key"] for row in decision.wrong] == ["k1"]
    assert set(decision.reasons.values()) == {"wrong"}


def test_a_threshold_drops_what_is_miscalculated_and_not_what_calculates_nothing() -> None:
    samples = [sample(0, arithmetic=0.5, adherence=0.9), sample(1, arithmetic=1.0), sample(2)]
    decision = decide(samples, FilterConfig(min_arithmetic=0.8, keep_per_heuristic=2))
    assert decision.reasons == {"k0": "miscalculated", "k1": "", "k2": ""}
    assert kept(samples) == ["k0"]


@pytest.mark.parametrize(
    ("right", "wrong", "settings", "enough"),
    [
        (1, 0, {}, True),
        (1, 0, {"evidence": "agreement"}, False),
        (2, 6, {"evidence": "agreement"}, True),
        (2, 6, {"evidence": "agreement", "min_agreement": 3}, False),
        (2, 1, {"evidence": "agreement", "min_agreement": 3}, True),
        (2, 2, {"evidence": "agreement", "min_agreement": 3}, False),
        (1, 3, {"evidence": "unlikely"}, False),
        (1, 3, {"evidence": "unlikely", "max_chance": 0.05}, True),
        (1, 3, {"evidence": "either", "max_chance": 0.05}, True),
        (2, 6, {"evidence": "either"}, True),
        (1, 3, {"evidence": "either"}, False),
    ],
)
def test_a_pair_without_the_evidence_that_is_asked_for_is_dropped(
    right: int, wrong: int, settings: dict[str, Any], enough: bool
) -> None:
    samples = [sample(index, "correct" if index < right else "wrong") for index in range(right + wrong)]
    decision = decide(samples, FilterConfig(**settings), chance=0.02)
    reasons = [decision.reasons[f"k{index}"] for index in range(right)]
    assert reasons == (["", *["not_best"] * (right - 1)] if enough else ["by_chance"] * right)


def test_those_that_were_cut_at_the_limit_or_give_no_answer_agree_with_nobody() -> None:
    others = [sample(1, truncated=True), sample(2, "unparsed", ending="")]
    assert kept([sample(0), *others], evidence="agreement") == []
    assert kept([sample(0), sample(3), *others], evidence="agreement", min_agreement=9) == ["k0"]


def test_wrong_ones_for_the_ablation_are_whole_and_have_an_answer() -> None:
    samples = [
        sample(0, "wrong", None, truncated=True),
        sample(1, "unparsed", None),
        sample(2, "timeout", None),
        sample(3, "wrong", None),
        sample(4, "wrong", None),
    ]
    decision = decide(samples, FilterConfig())
    assert [row["key"] for row in decision.wrong] == ["k3"]
    assert decision.kept == []
    assert list(decision.reasons.values()) == ["truncated", "unparsed", "timeout", "wrong", "wrong"]


@pytest.mark.parametrize("seed", range(5))
def test_the_ledger_adds_up(seed: int) -> None:
    rng = random.Random(seed)
    tally, total, tokens = FilterTally(), 0, 0
    config = FilterConfig(min_adherence=0.3, min_arithmetic=0.2, keep_per_heuristic=2, evidence="either")
    for _ in range(200):
        samples = [
            sample(
                index,
                rng.choice(["correct", "correct", "wrong", "unparsed", "timeout", "error"]),
                rng.choice([None, rng.random()]),
                rng.random() < 0.1,
                rng.choice(["whole", "cut_back", "runs_on"]),
                rng.choice([None, rng.random()]),
            )
            for index in range(rng.randrange(8))
        ]
        total += len(samples)
        tokens += sum(row["completion_tokens"] for row in samples)
        tally.add(samples, decide(samples, config, rng.random() / 10))
    ledger = tally.ledger(total)
    for unit, generated in (("", total), ("tokens_", tokens)):
        part = {
            name.removeprefix(unit): count for name, count in ledger.items() if name.startswith("tokens_") == bool(unit)
        }
        assert part["generated"] == generated
        unusable = sum(part[name] for name in ("truncated", "wrong", "unparsed", "timeout", "error", "runs_on"))
        assert part["generated"] == unusable + part["correct"]
        assert part["correct"] == part["by_chance"] + part["miscalculated"] + part["not_adherent"] + part["adherent"]
        assert part["adherent"] == part["not_best"] + part["kept"]
        assert min(part.values()) > 0
    with pytest.raises(AssertionError, match=f"{total} samples were decided on, {total + 1} were generated"):
        tally.ledger(total + 1)


def test_the_summary_has_rates_by_heuristic() -> None:
    tally = FilterTally()
    samples = [
        sample(0, adherence=0.2, arithmetic=0.5),
        sample(1, adherence=0.4, ending="cut_back", arithmetic=1.0, recovered=True),
        sample(2, "wrong", ending="runs_on"),
        sample(3, truncated=True, arithmetic=0.0),
        sample(4, ending="runs_on"),
    ]
    tally.add(samples, decide(samples, FilterConfig()))
    assert tally.summary() == {
        "analogy": {
            "samples": 5,
            "correct": 2,
            "correct_rate": 0.4,
            "truncated": 1,
            "unparsed": 0,
            "mean_tokens": 12.0,
            "recovered": 1,
            "kept": 1,
            "goes_on": 3,
            "runs_on": 1,
            "cut_back": 1,
            "arithmetic": 0.75,
            "calculated": 2,
            "adherence": pytest.approx(0.3),
            "solves": 1,
            "solves_alone": 1,
        }
    }


def test_a_question_counts_for_a_heuristic_alone_where_no_other_solves_it() -> None:
    tally = FilterTally()
    solved = {"q0": ("analogy", "symmetry"), "q1": ("analogy",), "q2": ()}
    for question, by in solved.items():
        for name in ("analogy", "symmetry"):
            row = {**sample(0, "correct" if name in by else "wrong"), "heuristic": name, "question_id": question}
            tally.add([row], decide([row], FilterConfig()))
    found = {name: (row["solves"], row["solves_alone"]) for name, row in tally.summary().items()}
    assert found == {"analogy": (2, 1), "symmetry": (1, 0)}


def test_the_verifier_is_part_of_the_identity() -> None:
    assert "math-verify" in FilterConfig().identity_payload()["verifier"]
