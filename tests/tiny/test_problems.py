"""Problems: right answers, splits that cannot overlap, the same ones for the same seed."""

import re
from collections import Counter

import pytest

from tasks.tiny.problems import (
    FAMILIES,
    OOD_FAMILIES,
    SPLIT_SHARES,
    SPLITS,
    TRAINED_FAMILIES,
    Problem,
    canonical,
    families_of,
    generate_problems,
    split_of,
)

IN_DOMAIN = tuple(SPLIT_SHARES)


def solve(problem: Problem) -> int:
    """The answer from the numbers that stand in the question, by other arithmetic than the project's."""
    found = [int(digits) for digits in re.findall(r"\d+", problem.question)]
    first_wording = not problem.question.startswith(tuple("0123456789"))
    match problem.family:
        case "sum":
            return found[0] + found[1] + found[2]
        case "prod":
            return found[0] * found[1]
        case "near" | "loose" if first_wording:
            loose, boxes, each = found
            return loose + boxes * each
        case "near" | "loose":
            boxes, each, loose = found
            return boxes * each + loose
        case "start":
            gone, got, now = found
            return next(x for x in range(1000) if x - gone + got == now)
        case "think" | "wide":
            times, plus, result = found
            return next(x for x in range(1000) if times * x + plus == result)
        case "ratio":
            total, times, more = found
            return next(x for x in range(1000) if x + times * x == total) + more
        case "diff":
            total, more = found
            return next(x for x in range(1000) if x + (x - more) == total)
        case "swap":
            got, gone, now = found
            return next(x for x in range(1000) if x + got - gone == now)
    raise AssertionError(problem.family)


@pytest.mark.parametrize("split", SPLITS)
def test_answers_are_right(split: str) -> None:
    for problem in generate_problems(split, 350, seed=11):
        assert problem.answer == str(solve(problem)), problem


def test_every_family_asks_for_a_positive_number() -> None:
    for split in SPLITS:
        assert all(int(p.answer) > 0 for p in generate_problems(split, 350, seed=3))


def test_splits_share_no_problem() -> None:
    keys = {
        split: {canonical(p.family, p.numbers) for seed in (0, 1) for p in generate_problems(split, 420, seed)}
        for split in SPLITS
    }
    for one in SPLITS:
        for other in SPLITS:
            assert one == other or not keys[one] & keys[other]


def test_every_problem_lies_in_the_split_it_was_drawn_for() -> None:
    for split in SPLITS:
        assert {split_of(p.family, p.numbers) for p in generate_problems(split, 210, seed=5)} == {split}


def test_the_order_of_terms_does_not_move_a_sum_to_another_split() -> None:
    assert split_of("sum", (12, 40, 75)) == split_of("sum", (75, 12, 40))
    assert split_of("near", (199, 4, 30)) == "seed", "the hash is part of what the shipped model was trained on"


def test_question_texts_are_distinct() -> None:
    questions = Counter(p.question for split in SPLITS for p in generate_problems(split, 420, seed=0))
    assert questions.most_common(1)[0][1] == 1


def test_splits_have_the_shares_they_name() -> None:
    found = Counter(split_of("think", (k, x, b)) for k in range(3, 10) for x in range(11, 50) for b in range(11, 90))
    total = sum(found.values())
    for split, share in SPLIT_SHARES.items():
        assert found[split] / total == pytest.approx(share / 100, abs=0.01)


def test_out_of_domain_families_are_in_no_other_split() -> None:
    assert set(families_of("ood")) == set(OOD_FAMILIES)
    assert not set(OOD_FAMILIES) & set(TRAINED_FAMILIES)
    assert set(FAMILIES) == {*OOD_FAMILIES, *TRAINED_FAMILIES}
    trained = [p for s in SPLIT_SHARES for p in generate_problems(s, 420, seed=0)]
    assert max(p.numbers[1] for p in trained if p.family == "think") < 50, "so `wide` is out of range"
    assert min(p.numbers[0] for p in trained if p.family == "near") > 89, "so `loose` is out of range"
    assert split_of("swap", (40, 20, 30)) == "ood"


@pytest.mark.parametrize("split", IN_DOMAIN)
def test_families_take_turns_and_a_longer_list_starts_with_the_shorter(split: str) -> None:
    problems = generate_problems(split, 70, seed=2)
    assert Counter(p.family for p in problems) == dict.fromkeys(TRAINED_FAMILIES, 10)
    assert generate_problems(split, 140, seed=2)[:70] == problems
    assert generate_problems(split, 70, seed=3) != problems


def test_each_split_holds_enough_for_the_pipeline() -> None:
    assert len(generate_problems("seed", 560, 0)) == len(generate_problems("rl", 560, 0)) == 560
    assert len(generate_problems("dev", 420, 0)) == len(generate_problems("test", 420, 0)) == 420


def test_asking_for_more_than_there_is_says_so() -> None:
    with pytest.raises(ValueError, match=r"count=2000: split 'dev' has too few problems of family 'prod'; "):
        generate_problems("dev", 2000, 0)
    with pytest.raises(ValueError, match="split 'train' is not one of base, seed"):
        generate_problems("train", 1, 0)
