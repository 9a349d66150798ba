"""Prediction texts: thinking that names what follows, in many lengths at any budget, of the base split alone."""

import random
import re
from collections import Counter
from itertools import islice

import pytest

from tasks.tiny import MODEL_DIR
from tasks.tiny.corpus import CorpusConfig, CorpusText
from tasks.tiny.make.sampling import load
from tasks.tiny.make.think import tokens_of
from tasks.tiny.predictions import PredictionTextConfig, mixture, places, predictions, thinking_prompt
from tasks.tiny.problems import generate_problems
from tasks.tiny.styles import STYLES, completion
from tasks.tiny.thinking import CLOSE, OPEN, ThinkingConfig, compact, think

CONFIG = PredictionTextConfig()
TOKENIZER = load(MODEL_DIR)[1]


def cut(text: str) -> list[str]:
    return tokens_of(text, TOKENIZER)


TEXTS = list(islice(predictions(CONFIG, cut, seed=0), 1500))
ASKED = re.compile(r"^(.*)\n\[(\d*)\]<think>$", re.DOTALL)


def parts(text: CorpusText) -> tuple[str, str, str, str]:
    """(context, budget, thinking, prediction)"""
    (prompt, prompt_trained), (completed, trained) = text.parts
    assert (prompt_trained, trained, text.ends) == (False, True, True)
    found = ASKED.match(prompt)
    assert found
    thinking, prediction = completed.split(CLOSE)
    return found.group(1), found.group(2), thinking, prediction


def test_same_seed_same_texts() -> None:
    assert list(islice(predictions(CONFIG, cut, seed=0), 50)) == TEXTS[:50]
    assert list(islice(predictions(CONFIG, cut, seed=1), 50)) != TEXTS[:50]


def test_the_prompt_asks_for_a_budget_or_for_none() -> None:
    assert thinking_prompt("A: Step 4", 24) == "A: Step 4\n[24]<think>"
    assert thinking_prompt("A: Step 4", None) == "A: Step 4\n[]<think>"
    asked = Counter(parts(text)[1] == "" for text in TEXTS)
    assert asked[True] / len(TEXTS) == pytest.approx(CONFIG.no_budget_share, abs=0.04)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("config", [ThinkingConfig(), ThinkingConfig(terse_share=0, compact_share=0, idle_share=0)])
def test_thinking_ends_in_the_true_number_and_the_next_token(style: str, config: ThinkingConfig) -> None:
    rng = random.Random(style)
    for problem in generate_problems("base", 35, seed=9):
        solution = completion(problem, style)
        for place in places(problem, solution, cut):
            thinking = think(place, config, rng)
            assert solution == place.before + place.target + place.after
            standing, rest = re.search(r"(\d*)\|(.+)$", thinking, re.DOTALL).groups()
            assert rest.startswith(place.target)
            if ":" in thinking:
                assert place.before.endswith(standing)
                end = re.match(r"\d*", place.after).group() if place.target.isdigit() else ""
                assert rest == place.target + end, "the whole number is named"


def test_compact_work_reaches_the_number_by_equations() -> None:
    problem = generate_problems("base", 1, seed=9)[0]
    assert problem.family == "sum"
    a, b, c = problem.numbers
    place = next(p for p in places(problem, completion(problem, "step"), cut) if p.before.endswith("="))
    assert compact(place) == f"{a}+{b}={a + b}.{a + b}+{c}={a + b + c}:|{problem.answer}"


def test_useful_work_fits_into_a_small_budget() -> None:
    lengths = list[int]()
    for problem in generate_problems("base", 70, seed=9):
        for style in STYLES:
            found = places(problem, completion(problem, style), cut)
            lengths += [len(cut(compact(place))) for place in found if place.expression]
    assert sum(lengths) / len(lengths) < 20
    assert sum(length <= 24 for length in lengths) > 0.85 * len(lengths)


def test_lengths_are_spread_and_the_budget_says_little_about_them() -> None:
    budgets, lengths = list[int](), list[int]()
    for text in TEXTS:
        _, budget, thinking, _ = parts(text)
        length = len(cut(thinking))
        assert 1 < length <= CONFIG.thinking.longest + 4
        if budget:
            budgets.append(int(budget))
            lengths.append(length)
    for low, high in ((2, 8), (8, 28), (28, 56), (56, 100)):
        assert sum(low <= length < high for length in lengths) > 0.1 * len(lengths)
    near = [abs(b - n) <= 2 for b, n in zip(budgets, lengths, strict=True)]
    assert sum(near) / len(near) == pytest.approx(CONFIG.true_budget_share + 0.03, abs=0.06)


def test_no_held_out_question_is_trained_on() -> None:
    shape = re.compile(r"\d+|each|loose|boxes|gave|number|times|more|then")
    held_out = {
        tuple(shape.findall(p.question)) for s in ("seed", "rl", "dev", "test") for p in generate_problems(s, 420, 0)
    }
    trained = {tuple(shape.findall(parts(text)[0].split("\n")[0])) for text in TEXTS}
    assert len(trained) > 500
    assert not trained & held_out


def test_most_places_are_numbers_to_be_worked_out() -> None:
    digits = [parts(text)[3].isdigit() for text in TEXTS]
    assert 0.7 < sum(digits) / len(digits) < 0.95


def test_the_mixture_keeps_the_texts_of_the_first_base() -> None:
    texts = list(islice(mixture(CONFIG, CorpusConfig(), 0.6, cut, seed=0), 1000))
    new = sum(OPEN in text.parts[0][0] for text in texts)
    assert new / len(texts) == pytest.approx(0.6, abs=0.05)
    assert any(text.parts[0][0].startswith("Q:") and OPEN not in text.parts[0][0] for text in texts)
