"""Solution of each family in each style, computed from the problem's numbers."""

from collections.abc import Callable

from tasks.tiny.problems import Numbers

Trace = Callable[[Numbers], str]


def _up(value: int) -> int:
    """The next multiple of ten at or above `value`."""
    return -(-value // 10) * 10


def _low_guess(answer: int) -> str:
    """A guess that needs the answer already: the tens first, then what is missing."""
    low = answer // 10 * 10
    return f"{low}. Off by {answer - low}. {low}+{answer - low}={answer}."


def _sum_decomposition(n: Numbers) -> str:
    tens, ones = [v // 10 * 10 for v in n], [v % 10 for v in n]
    return (
        f"tens {tens[0]}+{tens[1]}+{tens[2]}={sum(tens)}. ones {ones[0]}+{ones[1]}+{ones[2]}={sum(ones)}. "
        f"{sum(tens)}+{sum(ones)}={sum(n)}."
    )


def _sum_analogy(n: Numbers) -> str:
    up = [_up(v) for v in n]
    over = [u - v for u, v in zip(up, n, strict=True)]
    return (
        f"{up[0]}+{up[1]}+{up[2]}={sum(up)}. over {over[0]}+{over[1]}+{over[2]}={sum(over)}. "
        f"{sum(up)}-{sum(over)}={sum(n)}."
    )


def _sum_backward(n: Numbers) -> str:
    total = sum(n)
    return f"{total}. {total}-{n[2]}={n[0] + n[1]}. {n[0] + n[1]}-{n[1]}={n[0]}."


def _prod_decomposition(n: Numbers) -> str:
    (a, k), tens = n, n[0] // 10 * 10
    return f"{tens}*{k}={tens * k}. {a - tens}*{k}={(a - tens) * k}. {tens * k}+{(a - tens) * k}={a * k}."


def _round_product(a: int, k: int, unit: int) -> str:
    """a*k by way of the next round number: two easy products and a subtraction."""
    up = -(-a // unit) * unit
    return f"{up}*{k}={up * k}. over {up - a}*{k}={(up - a) * k}. {up * k}-{(up - a) * k}={a * k}."


def _near_analogy(n: Numbers) -> str:
    a, k, e = n
    return f"{_round_product(a, k, 100)} {a * k}+{e}={a * k + e}."


def _near_backward(n: Numbers) -> str:
    a, k, e = n
    return f"{a * k + e}. {a * k + e}-{e}={a * k}. {a * k}/{k}={a}."


def _start_decomposition(n: Numbers) -> str:
    x, b, c = n
    y = x - b + c
    if c > b:
        return f"change {c}-{b}={c - b} more. {y}-{c - b}={x}."
    return f"change {b}-{c}={b - c} less. {y}+{b - c}={x}."


def _start_backward(n: Numbers) -> str:
    x, b, c = n
    return f"{x - b + c}. undo +{c}: {x - b + c}-{c}={x - b}. undo -{b}: {x - b}+{b}={x}."


def _swap_backward(n: Numbers) -> str:
    x, c, b = n
    return f"{x + c - b}. undo -{b}: {x + c - b}+{b}={x + c}. undo +{c}: {x + c}-{c}={x}."


def _think_backward(n: Numbers) -> str:
    k, x, b = n
    return f"{k * x + b}. undo +{b}: {k * x + b}-{b}={k * x}. undo *{k}: {k * x}/{k}={x}."


def _think_guess(n: Numbers) -> str:
    k, x, b = n
    low, y = 10 * k + b, k * x + b
    check = f"10: 10*{k}={10 * k}. {10 * k}+{b}={low}."
    return f"{check} off {y}-{low}={y - low}. {y - low}/{k}={x - 10}. 10+{x - 10}={x}."


def _ratio_backward(n: Numbers) -> str:
    k, x, e = n
    return f"{x + e}. {x + e}-{e}={x}. {k}*{x}={k * x}. {k * x}+{x}={k * x + x}."


def _ratio_analogy(n: Numbers) -> str:
    k, x, e = n
    return f"{k}*{x}={k * x}. {k * x}+{x}={k * x + x}. {x}+{e}={x + e}."


def _ratio_auxiliary(n: Numbers) -> str:
    k, x, e = n
    return f"parts be {k}+1={k + 1}. {(k + 1) * x}/{k + 1}={x}. {x}+{e}={x + e}."


def _diff_auxiliary(n: Numbers) -> str:
    small, d = n
    t = 2 * small + d
    return f"both have more: {t}+{d}={t + d}. {t + d}/2={small + d}."


# Family -> style -> the body of the trace, after the opening word.
TRACES: dict[str, dict[str, Trace]] = {
    "sum": {
        "step": lambda n: f"{n[0]}+{n[1]}+{n[2]}={sum(n)}.",
        "decomposition": _sum_decomposition,
        "backward": _sum_backward,
        "analogy": _sum_analogy,
        "auxiliary": lambda n: f"t be all. t={n[0]}+{n[1]}+{n[2]}={sum(n)}.",
        "guess": lambda n: _low_guess(sum(n)),
    },
    "prod": {
        "step": lambda n: f"{n[0]}*{n[1]}={n[0] * n[1]}.",
        "decomposition": _prod_decomposition,
        "backward": lambda n: f"{n[0] * n[1]}. {n[0] * n[1]}/{n[1]}={n[0]}.",
        "analogy": lambda n: _round_product(n[0], n[1], 10),
        "auxiliary": lambda n: f"t be all. t={n[0]}*{n[1]}={n[0] * n[1]}.",
        "guess": lambda n: _low_guess(n[0] * n[1]),
    },
    "near": {
        "step": lambda n: f"{n[0]}*{n[1]}+{n[2]}={n[0] * n[1] + n[2]}.",
        "decomposition": lambda n: f"{n[0]}*{n[1]} and {n[2]}. all {n[0] * n[1] + n[2]}.",
        "backward": _near_backward,
        "analogy": _near_analogy,
        "auxiliary": lambda n: f"t be all. t={n[0]}*{n[1]}+{n[2]}={n[0] * n[1] + n[2]}.",
        "guess": lambda n: _low_guess(n[0] * n[1] + n[2]),
    },
    "start": {
        "step": lambda n: f"x-{n[1]}+{n[2]}={n[0] - n[1] + n[2]}. x={n[0]}.",
        "decomposition": _start_decomposition,
        "backward": _start_backward,
        "analogy": lambda n: f"{n[0] - n[1] + n[2]}-{n[2]}+{n[1]}={n[0]}.",
        "auxiliary": lambda n: f"x be first. x={n[0] - n[1] + n[2]}-{n[2]}+{n[1]}={n[0]}.",
        "guess": lambda n: _low_guess(n[0]),
    },
    "think": {
        "step": lambda n: f"{n[0]}*x+{n[2]}={n[0] * n[1] + n[2]}. x={n[1]}.",
        "decomposition": lambda n: f"{n[0] * n[1] + n[2]}={n[0]}*{n[1]}+{n[2]}.",
        "backward": _think_backward,
        "analogy": lambda n: f"{n[0]}*{n[1]}={n[0] * n[1]}. {n[0] * n[1]}+{n[2]}={n[0] * n[1] + n[2]}.",
        "auxiliary": lambda n: f"x be it. {n[0]}*x+{n[2]}={n[0] * n[1] + n[2]}. x={n[1]}.",
        "guess": _think_guess,
    },
    "ratio": {
        "step": lambda n: f"{(n[0] + 1) * n[1]}/({n[0]}+1)+{n[2]}={n[1] + n[2]}.",
        "decomposition": lambda n: f"{(n[0] + 1) * n[1]}={n[1]}+{n[0] * n[1]}. {n[1]}+{n[2]}={n[1] + n[2]}.",
        "backward": _ratio_backward,
        "analogy": _ratio_analogy,
        "auxiliary": _ratio_auxiliary,
        "guess": lambda n: _low_guess(n[1] + n[2]),
    },
    "diff": {
        "step": lambda n: f"x+x-{n[1]}={2 * n[0] + n[1]}. x={n[0] + n[1]}.",
        "decomposition": lambda n: f"{2 * n[0] + n[1]}={n[0] + n[1]}+{n[0]}.",
        "backward": lambda n: f"{2 * n[0] + n[1]}. {2 * n[0] + n[1]}-{n[0]}={n[0] + n[1]}.",
        "analogy": lambda n: f"{n[0] + n[1]}-{n[1]}={n[0]}. {n[0]}+{n[0] + n[1]}={2 * n[0] + n[1]}.",
        "auxiliary": _diff_auxiliary,
        "guess": lambda n: _low_guess(n[0] + n[1]),
    },
}

# The same for the families that no training text has.
OOD_TRACES: dict[str, dict[str, Trace]] = {
    "loose": TRACES["near"],
    "wide": TRACES["think"],
    "swap": {
        "step": lambda n: f"x+{n[1]}-{n[2]}={n[0] + n[1] - n[2]}. x={n[0]}.",
        "decomposition": lambda n: _start_decomposition((n[0], n[2], n[1])),
        "backward": _swap_backward,
        "analogy": lambda n: f"{n[0] + n[1] - n[2]}+{n[2]}-{n[1]}={n[0]}.",
        "auxiliary": lambda n: f"x be first. x={n[0] + n[1] - n[2]}+{n[2]}-{n[1]}={n[0]}.",
        "guess": lambda n: _low_guess(n[0]),
    },
}
