"""Training texts of the base model: worked problems of the `base` split, and drills."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import Field

from tasks.config import Frozen
from tasks.tiny.drills import draw_facts
from tasks.tiny.problems import TRAINED_FAMILIES, draw_numbers, word
from tasks.tiny.styles import STYLES, completion, named_prompt, plain_prompt


class CorpusConfig(Frozen):
    """The mixture of the base training texts (ours)."""

    drill_share: float = Field(0.35, ge=0, le=1)
    """Share of texts that are drills."""
    facts_per_drill: int = Field(8, ge=1)
    plain_share: float = Field(0.40, ge=0, le=1)
    """Share of problems that come with a plain prompt; the rest name one of the six methods."""
    habit_share: float = Field(0.85, ge=0, le=1)
    """Share of plain prompts that are answered in the `step` style; the rest spreads over the others."""


@dataclass(frozen=True)
class CorpusText:
    """A text in parts, each marked with whether the model is trained to produce it."""

    parts: tuple[tuple[str, bool], ...]
    ends: bool
    """Whether an end-of-text token, also trained on, follows."""


def _drill(config: CorpusConfig, rng: random.Random) -> CorpusText:
    parts = list[tuple[str, bool]]()
    for expression, result in draw_facts(config.facts_per_drill, rng):
        parts += [(f" {expression}=", False), (result, True), (".", False)]
    return CorpusText(tuple(parts), ends=False)


def _style(config: CorpusConfig, rng: random.Random) -> tuple[str, bool]:
    """(style, whether the prompt names it)."""
    if rng.random() >= config.plain_share:
        return rng.choice(STYLES), True
    return ("step" if rng.random() < config.habit_share else rng.choice(STYLES[1:])), False


def _worked_problem(config: CorpusConfig, rng: random.Random) -> CorpusText:
    family = rng.choice(TRAINED_FAMILIES)
    problem = word(family, draw_numbers(family, "base", rng), rng)
    style, named = _style(config, rng)
    prompt = named_prompt(problem.question, style) if named else plain_prompt(problem.question)
    return CorpusText(((prompt, False), (completion(problem, style), True)), ends=True)


def stream(config: CorpusConfig, seed: int) -> Iterator[CorpusText]:
    """Endless training texts, the same ones for the same seed."""
    rng = random.Random(f"corpus/{seed}")
    while True:
        yield _drill(config, rng) if rng.random() < config.drill_share else _worked_problem(config, rng)
