"""Base training texts: of the base split alone, in the agreed formats, true, the same for the same seed."""

import random
import re
from collections import Counter
from itertools import islice

from tasks.tiny.corpus import CorpusConfig, CorpusText, stream
from tasks.tiny.drills import draw_facts
from tasks.tiny.problems import SPLITS, generate_problems
from tasks.tiny.styles import METHODS, style_of

CONFIG = CorpusConfig()
TEXTS = list(islice(stream(CONFIG, seed=0), 4000))


def is_drill(text: CorpusText) -> bool:
    return not text.parts[0][0].startswith("Q:")


def test_same_seed_same_texts() -> None:
    assert list(islice(stream(CONFIG, seed=0), 200)) == TEXTS[:200]
    assert list(islice(stream(CONFIG, seed=1), 200)) != TEXTS[:200]


def test_no_held_out_question_is_trained_on() -> None:
    """Texts are told apart by the numbers in order, whatever the names and things around them."""

    def shape(question: str) -> tuple[str, ...]:
        return tuple(re.findall(r"\d+|each|loose|boxes|gave|number|times|more|then", question))

    held_out = {shape(p.question) for s in SPLITS if s != "base" for p in generate_problems(s, 420, seed=0)}
    trained = {shape(text.parts[0][0].split("\n")[0]) for text in TEXTS if not is_drill(text)}
    assert len(trained) > 1000
    assert not trained & held_out


def test_the_mixture_is_the_one_configured() -> None:
    problems = [text for text in TEXTS if not is_drill(text)]
    assert abs(1 - len(problems) / len(TEXTS) - CONFIG.drill_share) < 0.03
    plain = [text for text in problems if "\nMethod: " not in text.parts[0][0]]
    assert abs(len(plain) / len(problems) - CONFIG.plain_share) < 0.04
    styles = Counter(style_of(text.parts[1][0]) for text in plain)
    assert abs(styles["step"] / len(plain) - CONFIG.habit_share) < 0.04
    assert set(styles) == set(METHODS)


def test_loss_falls_on_completions_and_on_results_only() -> None:
    for text in TEXTS[:500]:
        if is_drill(text):
            assert all(part.isdigit() for part, trained in text.parts if trained)
            assert not text.ends
        else:
            (prompt, prompt_trained), (solution, solution_trained) = text.parts
            assert prompt.endswith("\nA:")
            assert not prompt_trained
            assert solution_trained
            assert text.ends
            assert re.search(r"\n#### \d+$", solution)


def test_facts_are_true_and_none_is_a_big_jump() -> None:
    for expression, result in draw_facts(5000, random.Random(1)):
        assert re.fullmatch(r"[\d+*/-]+", expression)
        assert eval(expression) == int(result)
        if "*" in expression:
            left = expression.split("*")[0]
            assert len(left.rstrip("0")) <= 1, "a product of a two-digit number is what the model must not drill"
        if expression.count("+") == 2:
            assert len({len(term) for term in expression.split("+")}) == 1
