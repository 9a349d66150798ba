"""Training texts of the thinking base besides the first base's: thinking before a prediction.

A text is a worked problem of the `base` split, cut at a token of its solution, then a budget of thinking
tokens, the thinking, and the next token: `Q: ...\\nA: Step 61+38+57=15\\n[24]<think>...15|6</think>6`.
"""

import random
from collections.abc import Callable, Iterator, Sequence

from pydantic import Field

from tasks.config import Frozen
from tasks.tiny.corpus import CorpusConfig, CorpusText, stream
from tasks.tiny.problems import TRAINED_FAMILIES, Problem, draw_numbers, word
from tasks.tiny.styles import STYLES, completion, named_prompt, plain_prompt
from tasks.tiny.thinking import CLOSE, OPEN, PredictionPlace, ThinkingConfig, think

# Cuts a text into the texts of its tokens.
Cut = Callable[[str], Sequence[str]]


class PredictionTextConfig(Frozen):
    """The mixture of the prediction texts (ours; chosen on the dev split)."""

    thinking: ThinkingConfig = ThinkingConfig()
    step_share: float = Field(0.45, ge=0, le=1)
    """Share of worked problems in the `step` style, half of them with a plain prompt; the rest spreads over
    the other styles, named in the prompt."""
    worked_share: float = Field(0.75, ge=0, le=1)
    """Share of places that are digits of a number which has to be worked out."""
    no_budget_share: float = Field(0.2, ge=0, le=1)
    true_budget_share: float = Field(0.35, ge=0, le=1)
    """Share of the budgets that are the real length, give or take two; the others say nothing about it."""
    smallest_budget: int = Field(8, ge=1)


def thinking_prompt(context: str, budget: int | None) -> str:
    """Prompt before the thinking; `[]` asks for no length."""
    return f"{context}\n[{budget or ''}]{OPEN}"


def places(problem: Problem, solution: str, cut: Cut) -> list[PredictionPlace]:
    """Every place of a solution at which a token begins."""
    out, at = list[PredictionPlace](), 0
    for token in cut(solution):
        end = at + len(token)
        out.append(PredictionPlace(problem, solution[:at], token, solution[end:]))
        at = end
    return out


def worked_problem(problem: Problem, step_share: float, rng: random.Random) -> tuple[str, str]:
    """(prompt, style) of a worked problem: only `step`, the habit, ever comes without its name."""
    if rng.random() >= step_share:
        style = rng.choice(STYLES[1:])
        return named_prompt(problem.question, style), style
    return (plain_prompt if rng.random() < 0.5 else lambda q: named_prompt(q, "step"))(problem.question), "step"


def _draw_place(all_places: list[PredictionPlace], worked_share: float, rng: random.Random) -> PredictionPlace:
    worked = [place for place in all_places if place.expression]
    return rng.choice(worked if worked and rng.random() < worked_share else all_places)


def _budget(length: int, config: PredictionTextConfig, rng: random.Random) -> int | None:
    if rng.random() < config.no_budget_share:
        return None
    if rng.random() < config.true_budget_share:
        return max(1, length + rng.randint(-2, 2))
    return rng.randint(config.smallest_budget, config.thinking.longest)


def prediction(problem: Problem, config: PredictionTextConfig, cut: Cut, rng: random.Random) -> CorpusText:
    """One prediction text; thinking and prediction are trained on, what comes before them is not."""
    prompt, style = worked_problem(problem, config.step_share, rng)
    place = _draw_place(places(problem, completion(problem, style), cut), config.worked_share, rng)
    thinking = think(place, config.thinking, rng)
    budget = _budget(len(cut(thinking)), config, rng)
    asked = thinking_prompt(prompt + place.before, budget)
    return CorpusText(((asked, False), (f"{thinking}{CLOSE}{place.target}", True)), ends=True)


def predictions(config: PredictionTextConfig, cut: Cut, seed: int) -> Iterator[CorpusText]:
    """Endless prediction texts from problems of the `base` split, the same ones for the same seed."""
    rng = random.Random(f"predictions/{seed}")
    while True:
        family = rng.choice(TRAINED_FAMILIES)
        problem = word(family, draw_numbers(family, "base", rng), rng)
        yield prediction(problem, config, cut, rng)


def mixture(
    config: PredictionTextConfig, corpus: CorpusConfig, prediction_share: float, cut: Cut, seed: int
) -> Iterator[CorpusText]:
    """Prediction texts among the texts that the first base was made from."""
    rng = random.Random(f"mixture/{seed}")
    new, old = predictions(config, cut, seed), stream(corpus, seed + 1)
    while True:
        yield next(new if rng.random() < prediction_share else old)
