"""Primitive arithmetic facts: the small jumps that the good traces are made of, and none of the big ones.

A base model of under a million parameters learns the small jumps far faster from bare facts than from whole
problems. A fact belongs to no split: what is held out is the problem, not that 84/4 is 21.
"""

import random
from collections.abc import Callable

Fact = tuple[str, str]


def _tens_sum(rng: random.Random) -> Fact:
    terms = [rng.randint(1, 9) * 10 for _ in range(3)]
    return "+".join(map(str, terms)), str(sum(terms))


def _ones_sum(rng: random.Random) -> Fact:
    terms = [rng.randint(0, 9) for _ in range(3)]
    return "+".join(map(str, terms)), str(sum(terms))


def _add(rng: random.Random) -> Fact:
    a, b = rng.randint(2, 199), rng.randint(1, 89)
    return f"{a}+{b}", str(a + b)


def _add_large(rng: random.Random) -> Fact:
    a, b = rng.randint(100, 1800), rng.randint(11, 89)
    return f"{a}+{b}", str(a + b)


def _subtract(rng: random.Random) -> Fact:
    b = rng.randint(3, 89)
    a = b + rng.randint(1, 130)
    return f"{a}-{b}", str(a - b)


def _subtract_large(rng: random.Random) -> Fact:
    a, b = rng.randint(120, 540), rng.randint(11, 119)
    return f"{a}-{b}", str(a - b)


def _subtract_from_round(rng: random.Random) -> Fact:
    if rng.random() < 0.5:
        a, b = rng.randint(4, 18) * 100, rng.randint(1, 5) * rng.randint(2, 9)
    else:
        a, b = rng.randint(4, 90) * 10, rng.randint(0, 9) * rng.randint(1, 9)
        b = min(b, a)
    return f"{a}-{b}", str(a - b)


def _times(rng: random.Random) -> Fact:
    a, k = rng.randint(0, 10), rng.randint(2, 9)
    unit = rng.choice((1, 10, 10, 100))
    return f"{a * unit}*{k}", str(a * unit * k)


def _divide(rng: random.Random) -> Fact:
    k, x = rng.randint(2, 9), rng.randint(1, 99)
    return f"{k * x}/{k}", str(x)


def _halve(rng: random.Random) -> Fact:
    x = rng.randint(11, 149)
    return f"{2 * x}/2", str(x)


# (kind, weight): the harder the fact, the more of it.
FACTS: tuple[tuple[Callable[[random.Random], Fact], int], ...] = (
    (_tens_sum, 2),
    (_ones_sum, 2),
    (_add, 4),
    (_add_large, 2),
    (_subtract, 4),
    (_subtract_large, 3),
    (_subtract_from_round, 2),
    (_times, 2),
    (_divide, 5),
    (_halve, 2),
)
_KINDS = tuple(kind for kind, _ in FACTS)
_WEIGHTS = tuple(weight for _, weight in FACTS)


def draw_facts(count: int, rng: random.Random) -> list[Fact]:
    """`count` pairs of (expression, result), e.g. ("47+38", "85")."""
    return [kind(rng) for kind in rng.choices(_KINDS, _WEIGHTS, k=count)]
