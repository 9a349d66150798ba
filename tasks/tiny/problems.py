"""Word problems with whole-number answers, drawn from splits that cannot overlap.

The split of a problem is decided by a hash of its family and numbers alone (`split_of`), so no wording,
name or random seed can move a problem from one split to another.
"""

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass

Numbers = tuple[int, ...]

# Shares in percent. `base` trains the base model, `seed` feeds mid-training, `rl` feeds RL.
SPLIT_SHARES: dict[str, int] = {"base": 50, "seed": 15, "rl": 15, "dev": 10, "test": 10}
OOD_SPLIT = "ood"
SPLITS: tuple[str, ...] = (*SPLIT_SHARES, OOD_SPLIT)

NAMES = ("Ann", "Ben", "Cara", "Dan", "Eva", "Finn", "Gus", "Hana", "Ivo", "Jill")
ITEMS = ("pens", "cards", "shells", "coins", "books", "stamps", "beads", "apples")

# More draws than this without a new problem means that the split is (nearly) used up.
MAX_FRUITLESS_DRAWS = 20_000


@dataclass(frozen=True)
class Problem:
    """One word problem; `numbers` are the family's own parameters, `answer` is a plain integer."""

    question: str
    answer: str
    family: str
    numbers: Numbers


@dataclass(frozen=True)
class Family:
    """How one kind of problem draws its numbers, finds its answer and is worded."""

    draw: Callable[[random.Random], Numbers]
    answer: Callable[[Numbers], int]
    templates: tuple[str, ...]
    words: Callable[[Numbers], dict[str, int]]
    canonical: Callable[[Numbers], Numbers] = lambda numbers: numbers


def _draw_sum(rng: random.Random) -> Numbers:
    return rng.randint(11, 89), rng.randint(11, 89), rng.randint(11, 89)


def _draw_prod(rng: random.Random) -> Numbers:
    return rng.randint(12, 99), rng.randint(2, 9)


def _draw_near(rng: random.Random) -> Numbers:
    """a*k + e with a = 100m - d; m >= 2 keeps every a*k of this family out of `prod`."""
    while True:
        m, k = rng.randint(2, 9), rng.randint(2, 9)
        if m * k <= 18:
            return 100 * m - rng.randint(1, 5), k, rng.randint(11, 89)


def _draw_start(rng: random.Random) -> Numbers:
    while True:
        x, b, c = rng.randint(25, 99), rng.randint(11, 79), rng.randint(11, 89)
        if x > b and b != c:
            return x, b, c


def _draw_think(rng: random.Random) -> Numbers:
    return rng.randint(3, 9), rng.randint(11, 49), rng.randint(11, 89)


def _draw_ratio(rng: random.Random) -> Numbers:
    """(times, smaller share, what is added to it): without the last, the one jump is learnt by heart."""
    return rng.randint(2, 8), rng.randint(6, 49), rng.randint(11, 89)


def _draw_diff(rng: random.Random) -> Numbers:
    """(smaller share, difference)."""
    return rng.randint(8, 89), rng.randint(3, 60)


def _draw_swap(rng: random.Random) -> Numbers:
    while True:
        x, c, b = rng.randint(11, 89), rng.randint(11, 89), rng.randint(11, 79)
        if x + c > b and b != c:
            return x, c, b


def _draw_loose(rng: random.Random) -> Numbers:
    return rng.randint(12, 89), rng.randint(2, 9), rng.randint(11, 89)


def _draw_wide(rng: random.Random) -> Numbers:
    return rng.randint(3, 9), rng.randint(50, 79), rng.randint(11, 89)


FAMILIES: dict[str, Family] = {
    "sum": Family(
        _draw_sum,
        sum,
        (
            "{A} has {a} {i}, {B} {b} and {C} {c}. How many {i} in all?",
            "A shop sold {a} {i}, then {b}, then {c}. How many {i} in all?",
        ),
        lambda n: dict(zip("abc", n, strict=True)),
        lambda n: tuple(sorted(n)),
    ),
    "prod": Family(
        _draw_prod,
        lambda n: n[0] * n[1],
        ("{k} boxes hold {a} {i} each. How many {i}?", "{A} packs {k} bags of {a} {i}. How many {i} in all?"),
        lambda n: {"a": n[0], "k": n[1]},
    ),
    "near": Family(
        _draw_near,
        lambda n: n[0] * n[1] + n[2],
        (
            "{k} boxes hold {a} {i} each and {e} lie loose. How many {i}?",
            "{A} has {e} {i} and gets {k} bags of {a}. How many {i} now?",
        ),
        lambda n: {"a": n[0], "k": n[1], "e": n[2]},
    ),
    "start": Family(
        _draw_start,
        lambda n: n[0],
        (
            "{A} gave away {b} {i}, then got {c} and now has {y}. How many at first?",
            "After losing {b} {i} and finding {c}, {A} has {y}. How many at first?",
        ),
        lambda n: {"b": n[1], "c": n[2], "y": n[0] - n[1] + n[2]},
    ),
    "think": Family(
        _draw_think,
        lambda n: n[1],
        (
            "{A} thinks of a number, times it by {k}, adds {b} and gets {y}. What number?",
            "{k} times a number plus {b} is {y}. What number?",
        ),
        lambda n: {"k": n[0], "b": n[2], "y": n[0] * n[1] + n[2]},
    ),
    "ratio": Family(
        _draw_ratio,
        lambda n: n[1] + n[2],
        (
            "{A} and {B} have {t} {i}. {B} has {k} times as many as {A}. {A} finds {e}. How many has {A}?",
            "{t} {i} are shared so that {B} gets {k} times as many as {A}. {A} finds {e}. How many has {A}?",
        ),
        lambda n: {"k": n[0], "t": (n[0] + 1) * n[1], "e": n[2]},
    ),
    "diff": Family(
        _draw_diff,
        lambda n: n[0] + n[1],
        (
            "{A} and {B} have {t} {i}. {A} has {d} more than {B}. How many has {A}?",
            "{t} {i} are shared so that {A} gets {d} more than {B}. How many for {A}?",
        ),
        lambda n: {"d": n[1], "t": 2 * n[0] + n[1]},
    ),
}
# Out of domain, in no training text: `start` with its two events swapped, `near` with numbers near nothing
# round, `think` with answers larger than any trained on.
FAMILIES |= {
    "swap": Family(
        _draw_swap,
        lambda n: n[0],
        (
            "{A} got {c} {i}, then gave away {b} and now has {y}. How many at first?",
            "After finding {c} {i} and losing {b}, {A} has {y}. How many at first?",
        ),
        lambda n: {"c": n[1], "b": n[2], "y": n[0] + n[1] - n[2]},
    ),
    "loose": Family(_draw_loose, FAMILIES["near"].answer, FAMILIES["near"].templates, FAMILIES["near"].words),
    "wide": Family(_draw_wide, FAMILIES["think"].answer, FAMILIES["think"].templates, FAMILIES["think"].words),
}
OOD_FAMILIES = ("swap", "loose", "wide")
TRAINED_FAMILIES = tuple(name for name in FAMILIES if name not in OOD_FAMILIES)


def canonical(family: str, numbers: Numbers) -> str:
    """The identity of a problem whatever its wording, e.g. `sum:12,40,75` (terms of a sum by size)."""
    return f"{family}:" + ",".join(map(str, FAMILIES[family].canonical(numbers)))


def split_of(family: str, numbers: Numbers) -> str:
    """The one split that a problem belongs to, by a hash of its canonical form."""
    if family in OOD_FAMILIES:
        return OOD_SPLIT
    digest = hashlib.sha256(f"midtrain-tiny:{canonical(family, numbers)}".encode()).digest()
    bucket = int.from_bytes(digest[:8]) % 100
    for split, share in SPLIT_SHARES.items():
        if bucket < share:
            return split
        bucket -= share
    raise AssertionError("split shares must add up to 100")


def families_of(split: str) -> tuple[str, ...]:
    """The families that occur in a split; raises ValueError for an unknown split."""
    if split not in SPLITS:
        raise ValueError(f"split {split!r} is not one of {', '.join(SPLITS)}")
    return OOD_FAMILIES if split == OOD_SPLIT else TRAINED_FAMILIES


def word(family: str, numbers: Numbers, rng: random.Random) -> Problem:
    """Put numbers into one of the family's wordings, with names and things drawn from `rng`."""
    spec = FAMILIES[family]
    who = dict(zip("ABC", rng.sample(NAMES, 3), strict=True))
    template = spec.templates[rng.randrange(len(spec.templates))]
    question = template.format(**who, i=ITEMS[rng.randrange(len(ITEMS))], **spec.words(numbers))
    return Problem(question, str(spec.answer(numbers)), family, numbers)


def draw_numbers(family: str, split: str, rng: random.Random) -> Numbers:
    """Numbers of one problem of this family that belongs to the split (drawn with replacement)."""
    while True:
        numbers = FAMILIES[family].draw(rng)
        if split_of(family, numbers) == split:
            return numbers


def generate_problems(split: str, count: int, seed: int) -> list[Problem]:
    """`count` distinct problems of a split, the families in turn; a longer list starts with the shorter
    one.

    Problems are distinct in their canonical form, not only in their text. Raises ValueError when a family
    has too few problems in the split.
    """
    rng = random.Random(f"problems/{split}/{seed}")
    families, seen, problems = families_of(split), set[str](), list[Problem]()
    for index in range(count):
        family = families[index % len(families)]
        for _ in range(MAX_FRUITLESS_DRAWS):
            numbers = draw_numbers(family, split, rng)
            if (key := canonical(family, numbers)) not in seen:
                break
        else:
            raise ValueError(
                f"count={count}: split {split!r} has too few problems of family {family!r}; "
                f"{index} could be drawn, ask for at most that many"
            )
        seen.add(key)
        problems.append(word(family, numbers, rng))
    return problems
