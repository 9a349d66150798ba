"""How much of what is right accident explains: exact counts, an interval, and a chance for each question."""

import itertools
import random
from typing import Any

import pytest

from tasks.filter.accidents import Accidents
from tasks.shared.verification.forms import canonical


def sample(question: str, answer: str | None, verdict: str = "wrong", **more: Any) -> dict[str, Any]:
    row = {"question_id": question, "heuristic": "analogy", "verdict": verdict, "extracted": answer}
    return {**row, "truncated": False, **more}


def test_the_rate_counts_wrong_answers_against_the_golds_of_all_other_questions() -> None:
    gold = {"a": "1", "b": "1.0", "c": "1 apple", "d": "7", "never asked": "1"}
    samples = [
        sample("a", "7"),  # one of three other questions
        sample("b", "2"),  # none
        sample("d", r"\$1"),  # all three
        sample("d", "x = 3 = 1"),  # all three
        sample("d", "7", "correct"),
        sample("c", "1", "correct"),
        sample("c", "1", "correct", truncated=True),
        sample("a", "1", truncated=True),
        sample("a", None, "unparsed"),
    ]
    found = Accidents(gold, samples).estimate()
    assert (found.answered, found.right, found.wrong) == (6, 2, 4)
    assert found.rate == pytest.approx((1 / 3 + 0 + 1 + 1) / 4)
    assert found.expected == pytest.approx(6 * (7 / 3) / 4)
    assert found.share == 1.0


def test_it_equals_drawing_every_pair_of_a_wrong_answer_and_another_question() -> None:
    rng = random.Random(3)
    gold = {f"q{index}": str(rng.randrange(9)) for index in range(25)}
    samples = [sample(question, str(rng.randrange(12))) for question in gold for _ in range(4)]
    pairs = [
        canonical(row["extracted"]) == gold[other]
        for row, other in itertools.product(samples, gold)
        if other != row["question_id"]
    ]
    assert Accidents(gold, samples).estimate().rate == pytest.approx(sum(pairs) / len(pairs))


def guesses(right: int, seed: int = 0) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Golds and guesses from 0 to 9, of which a tenth is right by accident, and `right` questions that are solved."""
    rng = random.Random(seed)
    gold = {f"q{index}": str(rng.randrange(10)) for index in range(200)}
    rows = []
    for index, (question, answer) in enumerate(gold.items()):
        for _ in range(8):
            said = answer if index < right else str(rng.randrange(10))
            rows.append(sample(question, said, "correct" if said == answer else "wrong"))
    return gold, rows


def test_where_all_guess_accident_explains_all_that_is_right() -> None:
    found = Accidents(*guesses(0)).estimate()
    assert found.rate == pytest.approx(0.1, abs=0.02)
    assert found.share_low is not None
    assert found.share_low > 0.8


def test_where_most_are_solved_accident_explains_little_and_the_interval_says_so() -> None:
    found = Accidents(*guesses(100)).estimate()
    assert found.share == pytest.approx(0.1 / 0.55, abs=0.05)
    assert found.share_low is not None
    assert found.share_high is not None
    assert found.share_low < found.share < found.share_high < 0.3
    assert str(found).endswith(" %)")


def test_without_wrong_answers_without_right_ones_and_without_a_hit() -> None:
    solved = Accidents({"a": "1", "b": "2"}, [sample("a", "1", "correct"), sample("b", "2", "correct")]).estimate()
    assert (solved.rate, solved.expected, str(solved)) == (None, None, "no estimate")
    failed = Accidents({"a": "1", "b": "2"}, [sample("a", "2"), sample("b", "1")]).estimate()
    assert (failed.rate, failed.expected, failed.share) == (1.0, 2.0, None)
    rows = [sample("a", "1", "correct"), sample("b", "9"), sample("c", "8")]
    missed = Accidents({"a": "1", "b": "2", "c": "3"}, rows).estimate()
    assert (missed.rate, missed.share, missed.share_low, missed.share_high) == (0.0, 0.0, 0.0, 1.0)


def test_each_heuristic_has_its_own_rate_against_the_golds_of_the_set() -> None:
    gold = {"a": "1", "b": "1", "c": "5"}
    rows = [
        sample("c", "1", heuristic="analogy"),
        sample("c", "2", heuristic="bright idea"),
        sample("a", "3"),
        sample("b", "3"),
    ]
    accidents = Accidents(gold, rows)
    assert accidents.estimate("analogy").rate == pytest.approx(1 / 3)
    assert accidents.estimate("bright idea").rate == 0.0
    assert accidents.estimate().rate == pytest.approx(1 / 4)


def test_a_gold_is_unlikely_where_enough_wrong_answers_of_others_miss_it() -> None:
    gold = {"a": "1", "b": "77", "c": "9"}
    rows = [*(sample("c", "1") for _ in range(50)), *(sample("c", "2") for _ in range(50)), sample("a", "77")]
    rows += [sample("b", None, "unparsed"), sample("c", "9 feet")]
    accidents = Accidents(gold, rows)
    assert accidents.chance("a") == pytest.approx(51 / 102)
    assert accidents.chance("b") == pytest.approx(2 / 103)
    assert accidents.chance("c") == pytest.approx(1 / 2)
