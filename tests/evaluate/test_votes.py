"""Equal answers are one vote, by canonical forms first and by the verifier among the few that are left."""

import pytest

from tasks.evaluate.task import _equal
from tasks.evaluate.votes import COMPARED, Pair, classes, with_votes
from tasks.shared.verification.config import VerificationConfig
from tasks.shared.verification.pool import VerifierPool


@pytest.fixture(scope="module")
def verifiers() -> VerifierPool:
    with VerifierPool(config=VerificationConfig(extraction=("boxed",))) as pool:
        yield pool


def never(pairs: list[Pair]) -> list[bool]:
    raise AssertionError(f"asked for {pairs}")


def test_spellings_of_a_number_are_one_vote_without_the_verifier() -> None:
    votes = classes(["1/2", "0.5", r"\frac12", "7", None, "12 dollars", "12"], never)
    assert votes["1/2"] == votes["0.5"] == votes[r"\frac12"] != votes["7"]
    assert votes["12 dollars"] == votes["12"]
    assert None not in votes


def test_equal_expressions_are_one_vote_by_the_verifier(verifiers: VerifierPool) -> None:
    answers = ["x+1", "1+x", "x+1", "x+2", r"\frac{\sqrt{12}}{2}", r"\sqrt{3}", "50%", "1/2", "0.333333", "1/3", "{"]
    votes = classes(answers, lambda pairs: _equal(verifiers, pairs))
    assert votes["x+1"] == votes["1+x"] == "x+1"
    assert votes[r"\frac{\sqrt{12}}{2}"] == votes[r"\sqrt{3}"]
    assert votes["x+2"] not in (votes["x+1"], votes[r"\sqrt{3}"])


def test_the_verifier_is_asked_for_few_pairs_whatever_is_written() -> None:
    asked: list[Pair] = []

    def same(pairs: list[Pair]) -> list[bool]:
        asked.extend(pairs)
        return [False] * len(pairs)

    assert len(set(classes([f"x^{power}+1" for power in range(200)], same).values())) == 200
    assert len(asked) == COMPARED * (COMPARED - 1) // 2


def test_a_class_has_the_name_of_its_most_frequent_form_in_any_order_of_samples() -> None:
    answers = ["a+b", "b+a", "b+a", "c"]
    for order in (answers, answers[::-1]):
        votes = classes(order, lambda pairs: [set(pair) == {"a+b", "b+a"} for pair in pairs])
        assert votes == {"a+b": "b+a", "b+a": "b+a", "c": "c"}


def test_answers_vote_within_their_question() -> None:
    rows = [{"benchmark": "b", "question_id": question, "extracted": text} for question, text in ("p1", "q2", "q3")]
    rows.append({"benchmark": "b", "question_id": "q", "extracted": None})
    assert [row["vote"] for row in with_votes(iter(rows), never)] == ["1", "2", "3", None]
