"""Which solutions of one question are taken: nested, one of each heuristic first, no copies, nothing lost."""

import random
from itertools import pairwise
from typing import Any

import pytest

from tasks.dataset.config import DatasetConfig
from tasks.dataset.select import place, ranked, select, similarity, word_set

HEURISTICS = ["analogy", "backward", "decomposition", "auxiliary", ""]


def candidate(
    question: str, heuristic: str, number: int = 0, adherence: float | None = 0.5, text: str = ""
) -> dict[str, Any]:
    rng = random.Random(f"{question}/{heuristic}/{number}")
    return {
        "question_id": question,
        "question": f"Question {question}?",
        "heuristic": heuristic,
        "completion": text or " ".join(str(rng.randrange(10**6)) for _ in range(12)),
        "adherence": adherence,
        "completion_tokens": 24,
        "key": f"{question}/{heuristic}/{number}",
    }


def keys(rows: list[Any]) -> list[str]:
    return [row["key"] for row in rows]


@pytest.mark.parametrize("selection", ["diverse", "adherence"])
def test_fewer_variants_are_a_prefix_of_more(selection: str) -> None:
    for question in ("a", "b", "c"):
        rows = [candidate(question, name, number, adherence=number / 7) for name in HEURISTICS for number in range(3)]
        chosen = [keys(select(rows, DatasetConfig(variants=n, selection=selection)).chosen) for n in range(1, 20)]
        for fewer, more in pairwise(chosen):
            assert more[: len(fewer)] == fewer
        assert [len(some) for some in chosen] == [min(n, 15) for n in range(1, 20)]


def test_every_heuristic_comes_before_a_second_of_any() -> None:
    rows = [candidate("q", name, number) for name in HEURISTICS for number in range(4)]
    order = [row["heuristic"] for row in ranked(rows, DatasetConfig())]
    for turn in range(4):
        assert sorted(order[turn * 5 : turn * 5 + 5]) == sorted(HEURISTICS)


def test_order_depends_on_seed_and_question_not_on_arrival() -> None:
    def first(question: str, seed: int, shuffle: int = 0) -> list[str]:
        rows = [candidate(question, name) for name in HEURISTICS]
        random.Random(shuffle).shuffle(rows)
        return [row["heuristic"] for row in ranked(rows, DatasetConfig(seed=seed))]

    assert first("q", 0, 1) == first("q", 0, 2)
    leaders = {first(f"q{index}", 0)[0] for index in range(60)}
    assert leaders == set(HEURISTICS)
    assert {tuple(first("q", seed)) for seed in range(10)} != {tuple(first("q", 0))}


def test_adherence_ranks_the_best_followed_first_and_unscored_last() -> None:
    rows = [candidate("q", "a", adherence=0.1), candidate("q", "b", adherence=None), candidate("q", "c", adherence=2.0)]
    order = ranked([*rows, candidate("q", "c", 1, adherence=float("nan"))], DatasetConfig(selection="adherence"))
    assert keys(order) == ["q/c/0", "q/a/0", "q/b/0", "q/c/1"]


def test_a_heuristics_best_solution_is_taken_first() -> None:
    rows = [candidate("q", "a", number, adherence=score) for number, score in enumerate([0.1, 0.9, None, 0.5])]
    assert keys(select(rows, DatasetConfig(variants=2)).chosen) == ["q/a/1", "q/a/3"]


@pytest.mark.parametrize(
    ("text", "copy"),
    [
        ("Add 3 and 4 to get 7.", True),
        ("  add 3\nand 4  to get 7.", True),
        ("Add 3 and 4 to get 7. Then stop at once, since that is all.", False),
        ("Add 3 and 5 to get 8.", False),
    ],
)
def test_near_copies_are_left_out(text: str, copy: bool) -> None:
    rows = [candidate("q", "a", 0, 0.9, "Add 3 and 4 to get 7."), candidate("q", "a", 1, 0.1, text)]
    selection = select(rows, DatasetConfig())
    assert keys(selection.duplicates) == (["q/a/1"] if copy else [])
    assert keys(selection.chosen)[0] == "q/a/0"


def test_similarity_is_the_jaccard_index_of_words() -> None:
    assert similarity(word_set("a b c"), word_set("C d")) == 1 / 4
    assert similarity(word_set(""), word_set("")) == 1


def test_heuristics_can_be_chosen_and_every_candidate_is_somewhere() -> None:
    rows = [candidate("q", name, number) for name in HEURISTICS for number in range(2)]
    selection = select(rows, DatasetConfig(heuristics=("", "analogy"), variants=3))
    assert {row["heuristic"] for row in selection.chosen} == {"", "analogy"}
    assert len(selection.other_heuristics) == 6
    assert len(selection.beyond_variants) == 1
    parts = [part for rows in vars(selection).values() for part in keys(rows)]
    assert sorted(parts) == sorted(keys(rows))


def test_full_only_gives_up_questions_with_too_few() -> None:
    rows = [candidate("q", name) for name in HEURISTICS]
    assert len(select(rows, DatasetConfig(variants=5, full_only=True)).chosen) == 5
    selection = select(rows, DatasetConfig(variants=6, full_only=True))
    assert (len(selection.chosen), len(selection.incomplete)) == (0, 5)


def test_places_are_fixed_numbers() -> None:
    assert place(0, "q", 1) == 10_465_295_225_205_894_093
    assert place(0, "q", "1x") != place(0, "q1", "x")
