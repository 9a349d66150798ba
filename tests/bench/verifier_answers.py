r"""Answers to grade: word problems, answers of the MATH kinds, LaTeX expressions in three spellings, hostile ones.

All are made here from a seed, in the forms and about the shares in which GSM8K, MATH, Minerva and OlympiadBench have
them, so that the measurement needs no download. A triple is a gold, another spelling of it and a near miss.
"""

import random
from collections.abc import Callable
from math import gcd

Row = tuple[str, str]
Triple = tuple[str, str, str]

_FILLER = "First, find what is asked for. Then put the numbers together step by step and check the units. "
_NAMES = ("Evelyn", "Navin", "Carla", "Robin", "Priya")


def word_problems(count: int, samples: int, seed: int) -> list[Row]:
    """Completions that end in a number, `samples` for each gold, a quarter of them wrong."""
    draw = random.Random(seed)
    rows = []
    for _ in range(count // samples):
        gold = draw.choice([draw.randint(2, 99), draw.randint(100, 20_000), draw.randint(100, 9_999) / 100])
        for _ in range(samples):
            answer = gold if draw.random() < 0.75 else gold + draw.randint(1, 9)
            spelled = draw.choice(
                ["#### {0}", "The answer is {0}.", r"So it is \boxed{{{0}}}.", "The answer is ${0:,}."]
            )
            rows.append((_FILLER * draw.randint(2, 6) + spelled.format(answer), f"{gold:,}"))
    return rows


def math_answers(count: int, samples: int, seed: int) -> list[Row]:
    """Boxed answers of the kinds of MATH: two thirds are numerals, the others fractions, expressions, words."""
    draw = random.Random(seed)
    rows = []
    for _ in range(count // samples):
        if draw.random() < 0.66:
            number = draw.randint(-20, 2_000)
            triple = (
                str(number),
                draw.choice([rf"\text{{{number}}}", f"x = {number}", f"{number}.0"]),
                str(number + 1),
            )
        elif draw.random() < 0.15:
            one, other = draw.sample(_NAMES, 2)
            triple = (rf"\text{{{one}}}", one, other)
        else:
            triple = draw.choice(KINDS)(draw)
        rows += [(_boxed(draw.choices(triple, (5, 2, 3))[0]), triple[0]) for _ in range(samples)]
    return rows


def expressions(count: int, seed: int) -> list[Row]:
    """Distinct LaTeX golds as they are, rewritten and perturbed: three rows for each, `count` rows."""
    draw = random.Random(seed)
    golds: dict[str, Triple] = {}
    while len(golds) < count // 3:
        triple = KINDS[len(golds) % len(KINDS)](draw)
        golds.setdefault(triple[0], triple)
    return [(_boxed(spelled), gold) for gold, triple in golds.items() for spelled in triple]


def with_hostile(rows: list[Row], share: float, seed: int) -> list[Row]:
    """`rows` where a share of the answers is replaced by hostile ones, no two alike."""
    draw = random.Random(seed)
    mixed = list(rows)
    for turn, place in enumerate(draw.sample(range(len(rows)), round(share * len(rows)))):
        mixed[place] = (_boxed(HOSTILE[turn % len(HOSTILE)](draw.randint(2, 9_999))), rows[place][1])
    return mixed


def _boxed(answer: str) -> str:
    return rf"{_FILLER}Therefore the answer is $\boxed{{{answer}}}$."


HOSTILE: tuple[Callable[[int], str], ...] = (
    lambda n: f"{n}^{n}^{n}^{n}",
    lambda n: rf"\log_2({n}^{{9^{{9^9}}}})",
    lambda n: f"{n}+e^{{e^{{e^{{e^e}}}}}}",
    lambda n: r"\sqrt{1+" * 45 + str(n) + "}" * 45,
    lambda n: r"\frac{1}{1+" * 45 + str(n) + "}" * 45,
    lambda n: str(n) * 400 + "e",
    lambda n: rf"\Gamma({n}0000001)",
    lambda n: f"3^{{{n}99999}}-3^{{{n}99999}}+3",
    lambda n: rf"\binom{{{n}00000000}}{{{n}0000000}}",
    lambda n: rf"10^{{-{n}0000000}}",
    lambda n: f"({n}!)!",
    lambda n: "".join(rf"(\sqrt{{{n + step}}}+1)" for step in range(60)),
    lambda n: "|" * 400 + str(n) + "|" * 400,
    lambda n: "x_{" * 48 + str(n) + "}" * 48,
    lambda n: rf"\{{{','.join(map(str, range(n, n + 300)))}\}}",
    lambda n: r"\boxed{" * 200 + str(n),
    lambda n: rf"x^5-{n}x^4+\sin x>0",
    lambda n: rf"(x+y+z+w)^{{{n}}}-(x+y+z+w)^{{60}}",
)


def _fraction(draw: random.Random) -> Triple:
    below = draw.randint(3, 40)
    above = draw.choice([n for n in range(1, 99) if gcd(n, below) == 1])
    return (
        rf"\frac{{{above}}}{{{below}}}",
        rf"\dfrac{{{2 * above}}}{{{2 * below}}}",
        rf"\frac{{{above + 1}}}{{{below}}}",
    )


def _surd(draw: random.Random) -> Triple:
    a, b = draw.randint(2, 30), draw.choice([2, 3, 5, 6, 7, 10, 11])
    return rf"{a}\sqrt{{{b}}}", rf"\sqrt{{{a * a * b}}}", rf"{a}\sqrt{{{b + 3}}}"


def _denominator(draw: random.Random) -> Triple:
    a, b = draw.randint(1, 9), draw.choice([2, 3, 5, 7, 11, 13])
    return (
        rf"\frac{{{a}\sqrt{{{b}}}}}{{{b}}}",
        rf"\frac{{{a}}}{{\sqrt{{{b}}}}}",
        rf"\frac{{{a}\sqrt{{{b}}}}}{{{b + 1}}}",
    )


def _sum_of_surds(draw: random.Random) -> Triple:
    a, b = draw.randint(1, 50), draw.choice([2, 3, 5, 7])
    return rf"{a}+{a + 1}\sqrt{{{b}}}", rf"{a + 1}\sqrt{{{b}}} + {a}", rf"{a}-{a + 1}\sqrt{{{b}}}"


def _multiple_of_pi(draw: random.Random) -> Triple:
    a, b = draw.randint(2, 60), draw.choice([2, 3, 4, 6])
    return rf"\frac{{{a}\pi}}{{{b}}}", rf"\frac{{{a}}}{{{b}}}\pi", rf"\frac{{{a + 1}\pi}}{{{b}}}"


def _linear(draw: random.Random) -> Triple:
    a, b = draw.randint(2, 30), draw.randint(1, 30)
    return f"{a}x+{b}", f"{b} + {a}x", f"{a}x-{b}"


def _quadratic(draw: random.Random) -> Triple:
    a, b = draw.randint(1, 20), draw.randint(21, 40)
    return f"x^2+{a + b}x+{a * b}", f"(x+{a})(x+{b})", f"x^2+{a + b}x+{a * b + 1}"


def _cubic(draw: random.Random) -> Triple:
    a, b, c = (draw.randint(2, 9) for _ in range(3))
    return f"{a}x^3-{b}x^2+{c}x-1", f"-1+{c}x-{b}x^{{2}}+{a}x^{{3}}", f"{a}x^3-{b}x^2-{c}x-1"


def _two_letters(draw: random.Random) -> Triple:
    a, b = draw.randint(2, 30), draw.randint(2, 30)
    return f"{a}ab-{b}a^2", f"a({a}b-{b}a)", f"{a}ab-{b}b^2"


def _rational(draw: random.Random) -> Triple:
    a, b = draw.randint(2, 20), draw.randint(2, 20)
    return rf"\frac{{x+{a}}}{{x-{b}}}", rf"\frac{{{a}+x}}{{-{b}+x}}", rf"\frac{{x-{a}}}{{x-{b}}}"


def _power(draw: random.Random) -> Triple:
    a, b = draw.randint(2, 9), draw.randint(2, 40)
    return f"{a}^{{n+{b}}}-1", f"{a}^{{{b}+n}} - 1", f"{a}^{{n+{b + 1}}}-1"


def _trigonometric(draw: random.Random) -> Triple:
    a, b = draw.randint(2, 20), draw.randint(2, 20)
    return rf"{a}\sin(x)+{b}\cos(x)", rf"{b}\cos x + {a}\sin x", rf"{a}\sin(x)-{b}\cos(x)"


def _exponential(draw: random.Random) -> Triple:
    a, b = draw.randint(2, 40), draw.randint(2, 40)
    return f"{a}e^{{-{b}t}}", rf"\frac{{{a}}}{{e^{{{b}t}}}}", f"{a}e^{{{b}t}}"


def _logarithm(draw: random.Random) -> Triple:
    a, b = draw.randint(2, 40), draw.choice([3, 5, 7, 11, 13])
    return rf"\frac{{\ln {b}}}{{{a}}}", rf"\frac{{1}}{{{a}}}\ln {b}", rf"\frac{{\ln {b + 1}}}{{{a}}}"


def _physical(draw: random.Random) -> Triple:
    a, b = draw.randint(2, 30), draw.randint(2, 30)
    return (
        rf"\frac{{{a} m v^2}}{{{b} \omega}}",
        rf"\frac{{{a}}}{{{b}}} \frac{{m v^{{2}}}}{{\omega}}",
        rf"\frac{{{a} m v}}{{{b} \omega}}",
    )


def _point(draw: random.Random) -> Triple:
    a, b, c = draw.randint(-9, 30), draw.randint(-9, 30), draw.randint(2, 9)
    return (
        rf"\left( {a}, {b}, \frac{{{c}}}{{7}} \right)",
        rf"({a},{b},\tfrac{{{c}}}{{7}})",
        rf"({b + 1},{a},\frac{{{c}}}{{7}})",
    )


def _interval(draw: random.Random) -> Triple:
    a, b = draw.randint(-30, 10), draw.randint(11, 60)
    return f"[{a},{b})", rf"\left[{a}, {b}\right)", f"[{a},{b}]"


def _union(draw: random.Random) -> Triple:
    a, b = draw.randint(-30, 0), draw.randint(1, 60)
    return (
        rf"(-\infty,{a})\cup({b},\infty)",
        rf"({b}, \infty) \cup (-\infty, {a})",
        rf"(-\infty,{a}]\cup({b},\infty)",
    )


def _solutions(draw: random.Random) -> Triple:
    a, b, c = draw.sample(range(-20, 40), 3)
    return f"{a}, {b}, {c}", rf"\{{{c}, {a}, {b}\}}", f"{a}, {b}, {c + 1}"


def _plus_minus(draw: random.Random) -> Triple:
    a, b = draw.randint(1, 30), draw.choice([2, 3, 5, 7, 11])
    return rf"{a} \pm \sqrt{{{b}}}", rf"{a}-\sqrt{{{b}}}, {a}+\sqrt{{{b}}}", rf"{a} \pm \sqrt{{{b + 4}}}"


def _line(draw: random.Random) -> Triple:
    a, b = draw.randint(2, 30), draw.randint(2, 30)
    return f"y = {a}x+{b}", f"y={b} + {a}x", f"y = {a}x-{b}"


def _matrix(draw: random.Random) -> Triple:
    a, b, c, d = (draw.randint(-9, 30) for _ in range(4))
    cells = rf"{a} & {b} \\ {c} & {d}"
    return (
        rf"\begin{{pmatrix}} {cells} \end{{pmatrix}}",
        rf"\begin{{bmatrix}} {cells} \end{{bmatrix}}",
        rf"\begin{{pmatrix}} {a} & {b} \\ {c} & {d + 1} \end{{pmatrix}}",
    )


def _complex(draw: random.Random) -> Triple:
    a, b = draw.randint(1, 40), draw.randint(2, 40)
    return f"{a}+{b}i", f"{b}i + {a}", f"{a}-{b}i"


def _mixed_number(draw: random.Random) -> Triple:
    a, b = draw.randint(1, 40), draw.choice([3, 5, 7, 9])
    return rf"{a}\frac{{2}}{{{b}}} x", rf"\frac{{{a * b + 2}}}{{{b}}} x", rf"{a}\frac{{1}}{{{b}}} x"


def _with_a_unit(draw: random.Random) -> Triple:
    a, b = draw.randint(2, 60), draw.choice([2, 3, 5, 7])
    return (
        rf"{a}\sqrt{{{b}}} \text{{ cm}}^2",
        rf"{a} \sqrt{{{b}}}\text{{ cm}}^2",
        rf"{a + 1}\sqrt{{{b}}} \text{{ cm}}^2",
    )


KINDS: tuple[Callable[[random.Random], Triple], ...] = (
    _fraction, _surd, _denominator, _sum_of_surds, _multiple_of_pi, _linear, _quadratic, _cubic, _two_letters,
    _rational, _power, _trigonometric, _exponential, _logarithm, _physical, _point, _interval, _union, _solutions,
    _plus_minus, _line, _matrix, _complex, _mixed_number, _with_a_unit,
)  # fmt: skip
"""Makers of a gold, another spelling of it and a near miss."""
