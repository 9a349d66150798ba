"""Texts of a base that overthinks are long and right; those of the base that ships are what they were."""

import hashlib
import operator
import random
import re
from itertools import islice

from tasks.tiny import MODEL_DIR
from tasks.tiny.corpus import CorpusConfig
from tasks.tiny.make.sampling import load
from tasks.tiny.make.think import KINDS, tokens_of
from tasks.tiny.predictions import PredictionTextConfig, mixture, places
from tasks.tiny.problems import generate_problems
from tasks.tiny.styles import completion
from tasks.tiny.thinking import think

CONFIG = KINDS["overthinking"].predictions
LEVELS = CONFIG.thinking
TOKENIZER = load(MODEL_DIR)[1]
EQUATION = re.compile(r"(\d+)([+*/-])(\d+)=(\d+)")
SIGNS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}


def cut(text: str) -> list[str]:
    return tokens_of(text, TOKENIZER)


def test_the_texts_of_the_thinking_base_are_those_that_it_was_made_from() -> None:
    config = KINDS["thinking"]
    assert config.predictions == PredictionTextConfig()
    texts = islice(mixture(config.predictions, CorpusConfig(), config.prediction_share, cut, config.seed), 400)
    digest = hashlib.sha256(repr([text.parts for text in texts]).encode()).hexdigest()
    assert digest == "b2e0b5ecc31d5f43bd98b4970c754ab931ca75567ec4f6c2c697fc47c8bd994b"


def test_long_thinking_holds_the_work_and_nothing_false() -> None:
    rng, lengths = random.Random(1), list[int]()
    only_long = LEVELS.model_copy(update={"terse_share": 0, "compact_share": 0, "idle_share": 0})
    for problem in generate_problems("base", 70, seed=9):
        found = places(problem, completion(problem, "step"), cut)
        place = rng.choice([place for place in found if place.expression])
        thinking = think(place, only_long, rng)
        assert all(step.text in thinking for step in place.steps)
        assert all(SIGNS[sign](int(a), int(b)) == int(c) for a, sign, b, c in EQUATION.findall(thinking))
        assert thinking.endswith(f":{place.named}")
        lengths.append(len(cut(thinking)))
    assert max(lengths) <= LEVELS.longest + 4
    assert min(lengths) > LEVELS.shortest_long - 40, "a piece that does not fit ends the text"
    assert sum(lengths) / len(lengths) > (LEVELS.shortest_long + LEVELS.longest) / 2 - 20
