"""Documents of the small world: whole worked problems, of splits that share no problem."""

import re
from collections import Counter
from typing import get_args

import pytest

from tasks.tiny.problems import OOD_FAMILIES, TRAINED_FAMILIES
from tasks.tiny.styles import METHODS, STYLES, style_of
from tasks.tiny.texts import PROBLEM_SPLITS, STEP_SHARE, TextSplit, documents

DOCUMENTS = {split: documents(split, 420, seed=0) for split in PROBLEM_SPLITS}


def test_same_seed_same_documents_and_a_longer_list_starts_with_the_shorter() -> None:
    assert set(PROBLEM_SPLITS) == set(get_args(TextSplit))
    for split, found in DOCUMENTS.items():
        assert documents(split, 50, seed=0) == found[:50]
        assert documents(split, 50, seed=1) != found[:50]


def test_documents_are_distinct_between_and_within_splits() -> None:
    texts = [document.text for found in DOCUMENTS.values() for document in found]
    assert len(set(texts)) == len(texts)


def test_splits_share_no_problem() -> None:
    def numbers(text: str) -> tuple[str, ...]:
        return tuple(re.findall(r"\d+|each|loose|boxes|gave|got|number|times|more|then", text.split("\n")[0]))

    found = {split: {numbers(document.text) for document in rows} for split, rows in DOCUMENTS.items()}
    for one in found:
        for other in found:
            assert one == other or not found[one] & found[other], (one, other)


@pytest.mark.parametrize("split", PROBLEM_SPLITS)
def test_the_question_is_given_and_the_solution_is_not(split: TextSplit) -> None:
    for document in DOCUMENTS[split]:
        given, solution = document.text[: document.given_chars], document.text[document.given_chars :]
        assert given.startswith("Q: ")
        assert given.endswith("\nA:")
        assert re.search(r"\n#### \d+$", solution)
        assert style_of(solution) == document.meta["style"]
        if document.meta["style"] != "step":
            assert f"\nMethod: {METHODS[document.meta['style']]}\n" in given, "so that the first word is no guess"


def test_families_take_turns_and_step_is_frequent() -> None:
    for split, found in DOCUMENTS.items():
        families = OOD_FAMILIES if split == "ood" else TRAINED_FAMILIES
        counts = Counter(document.meta["family"] for document in found)
        assert counts == dict.fromkeys(families, len(found) // len(families))
        styles = Counter(document.meta["style"] for document in found)
        assert styles["step"] / len(found) == pytest.approx(STEP_SHARE, abs=0.08)
        assert set(styles) == set(STYLES)


def test_there_are_enough_for_a_run() -> None:
    assert len(documents("train", 3000, 0)) == 3000
    assert len(documents("evaluation", 1500, 0)) == 1500


def test_what_cannot_be_had_is_named() -> None:
    with pytest.raises(ValueError, match="split 'base' is not one of train, evaluation, test, ood"):
        documents("base", 1, 0)  # type: ignore[arg-type]
