"""Thinking before a prediction: written by a program, from a guess of two tokens to far more work than is needed.

Thinking ends by naming the number that is being written, cut where the text stands: `15|6` says that `15`
stands there already and that `6` follows.
"""

import random
import re
from dataclasses import dataclass

from pydantic import Field

from tasks.config import Frozen
from tasks.tiny.problems import Problem
from tasks.tiny.workings import NUMBER, UNKNOWNS, WorkingStep, expression_for, steps_of

OPEN, CLOSE = "<think>", "</think>"
# What each piece of a text costs: digits and signs stand alone in the small world's tokenizer.
PIECE = re.compile(r" ?[A-Za-z]+|\d|\s|[^\w\s]")


class ThinkingConfig(Frozen):
    """How much of the thinking is a guess, work, or idle talk (ours; chosen on the dev split)."""

    terse_share: float = Field(0.30, ge=0, le=1)
    """Share of thinking that is a guess of at most six tokens."""
    compact_share: float = Field(0.25, ge=0, le=1)
    """Share that is the work alone."""
    idle_share: float = Field(0.10, ge=0, le=1)
    """Share that talks without doing the work; the rest is long: the work with recaps and checks."""
    shortest_idle: int = Field(8, ge=1)
    shortest_long: int = Field(28, ge=1)
    longest: int = Field(96, ge=1)
    """Most tokens of thinking, about."""


@dataclass(frozen=True)
class PredictionPlace:
    """A place in a solution at which the next token is to be predicted."""

    problem: Problem
    before: str
    """The solution up to here, without the prompt."""
    target: str
    """The next token's text."""
    after: str
    """Text that follows the target."""

    @property
    def standing(self) -> str:
        """The digits right before this place: of the number being written, or of one just written."""
        return re.search(r"\d*$", self.before).group()  # type: ignore[union-attr]

    @property
    def rest(self) -> str:
        """Rest of the number that is being written; of anything else, the target."""
        return self.target + NUMBER.match("0" + self.after).group()[1:] if self.target.isdigit() else self.target  # type: ignore[union-attr]

    @property
    def named(self) -> str:
        """The number that is being written, cut where the text stands."""
        return f"{self.standing}|{self.rest}"

    @property
    def expression(self) -> str | None:
        """Expression to work out for the target digit; None when there is none."""
        if not self.target.isdigit():
            return None
        start = self.before[: len(self.before) - len(self.standing)]
        return expression_for(self.problem, start, int(self.standing + self.rest))

    @property
    def steps(self) -> list[WorkingStep]:
        """Steps that work out the expression; none where there is no expression."""
        return steps_of(self.expression) if self.expression else []


def cost(text: str) -> int:
    """About how many tokens a text has."""
    return len(PIECE.findall(text))


def compact(place: PredictionPlace) -> str:
    """The work alone, without the easy steps: `61+38=99.99+57=156:15|6`."""
    work = ".".join(step.text for step in place.steps if not step.easy)
    return f"{work}:{place.named}"


def think(place: PredictionPlace, config: ThinkingConfig, rng: random.Random) -> str:
    """Thinking at one of the levels, drawn from `rng`."""
    level = rng.random()
    if level < config.terse_share:
        return f"|{place.target}" if rng.random() < 0.5 else f":{place.named}"
    level -= config.terse_share
    if level < config.compact_share:
        return compact(place)
    if level < config.compact_share + config.idle_share:
        return _padded(place, [], rng.randint(config.shortest_idle, config.longest), rng)
    return _padded(place, place.steps, rng.randint(config.shortest_long, config.longest), rng)


def chain(problem: Problem, config: ThinkingConfig, rng: random.Random) -> str:
    """A long chain to the answer of a question: all the work, with recaps and checks around it."""
    answer = str(UNKNOWNS[problem.family](problem.numbers)[0][0])
    place = PredictionPlace(problem, " ", answer[0], answer[1:])
    return _padded(place, place.steps, rng.randint(config.shortest_long, config.longest), rng)


def _padded(place: PredictionPlace, steps: list[WorkingStep], length: int, rng: random.Random) -> str:
    """Talk around the work until there are about `length` tokens."""
    work = "".join(f"{step.text}." for step in steps)
    known = NUMBER.findall(place.problem.question)
    recap = " has " + " and ".join(known) + "."
    before = [recap, " so step by step.", " find it.", f" now {known[-1]}.", " then number.", " all is less."]
    after = before[1:]
    if steps:
        after = [f" check {step.check}." for step in steps] + [f" then {work}", f" so {steps[-1].value}."]
    head, tail, end = "", "", f":{place.named}"
    while True:
        early = rng.random() < (0.3 if steps else 1)
        piece = rng.choice(before if early else after)
        if cost(head + work + tail + piece + end) > length:
            return f"{head}{work}{tail}{end}"
        head, tail = (head + piece, tail) if early else (head, tail + piece)
