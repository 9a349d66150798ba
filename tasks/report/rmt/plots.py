"""The figures of a report of reinforcement mid-training."""

from collections.abc import Callable, Iterable, Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tasks.report.plots import (
    INK,
    STYLE,
    WIDTH,
    Look,
    Plot,
    draw_curve,
    finish,
    passes,
)
from tasks.report.provenance import Curve
from tasks.report.rmt.summary import RMTSummary
from tasks.rmt.method import TIERS

STAGE = "rmt"
BUDGETS = ((0, (4, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))
"""Dashes of budgets, so that two arms with the same one are told apart."""


def draw(summary: RMTSummary, curves: Sequence[Curve]) -> list[Plot]:
    """Every figure that there is something to show for."""
    look = Look(tuple(row.label for row in summary.rows))
    trained = [curve for curve in curves if curve.stage == STAGE and curve.label in look.labels]
    makers: list[Callable[[Sequence[Curve], Look], Plot | None]] = [_length, _matches, _losses, _shares]
    with mpl.rc_context(STYLE):
        plots = [_bars(summary, look), *(plot for make in makers if (plot := make(trained, look)) is not None)]
        if summary.afterwards is not None:
            labels = tuple(dict.fromkeys(row.label for row in summary.afterwards.models))
            plots.append(passes(summary.afterwards, Look(tuple(dict.fromkeys((*look.labels, *labels))))))
    return plots


def _bars(summary: RMTSummary, look: Look) -> Plot:
    parts, rows = summary.parts, summary.rows
    figure = Figure(figsize=(WIDTH, 3.3 + 0.18 * -(-len(rows) // 4)), layout="constrained")
    axis = figure.subplots()
    width = 0.84 / len(rows)
    for number, row in enumerate(rows):
        places = [index + (number - (len(rows) - 1) / 2) * width for index in range(len(parts))]
        found = [row.reasoning[part] for part in parts]
        means = [100 * metric.mean for metric in found]
        below = [100 * max(0.0, metric.mean - metric.low) for metric in found]
        above = [100 * max(0.0, metric.high - metric.mean) for metric in found]
        whiskers = {"ecolor": INK, "elinewidth": 0.9, "capsize": 2}
        colour = look.colour(row.label)
        axis.bar(places, means, width * 0.92, color=colour, yerr=[below, above], error_kw=whiskers, label=row.label)
        direct = [100 * row.direct[part].mean for part in parts]
        name = "without reasoning" if number == 0 else None
        axis.plot(places, direct, linestyle="", marker="_", markersize=9, color=INK, label=name)
    axis.set_xticks(range(len(parts)), parts)
    axis.set(title="Next-token accuracy with reasoning, percent")
    axis.set_ylim(bottom=0)
    axis.grid(axis="x", visible=False)
    handles, names = axis.get_legend_handles_labels()
    order = sorted(range(len(names)), key=lambda index: names[index] == "without reasoning")
    figure.legend(
        [handles[index] for index in order],
        [names[index] for index in order],
        loc="outside lower center",
        ncols=min(5, len(names)),
    )
    caption = (
        f"Bars: with reasoning; thin lines: {summary.confidence:.0%} intervals over documents. Dashes inside or above "
        "them: the same checkpoint's likeliest next token, without reasoning."
    )
    return finish("accuracy", "Next-token accuracy by tier", caption, figure)


def _length(curves: Sequence[Curve], look: Look) -> Plot | None:
    found = _with(curves, "reasoning_tokens")
    if not found:
        return None
    figure, axis = _one()
    for curve, first in _first_of_label(found):
        draw_curve(axis, curve, "reasoning_tokens", look, label=curve.label if first else None)
    budgets: dict[tuple[float, ...], list[Curve]] = {}
    for curve in _with(curves, "budget_tokens"):
        if any(curve.series("budget_tokens")[1]):
            budgets.setdefault(tuple(curve.series("budget_tokens")[1]), []).append(curve)
    for number, same in enumerate(budgets.values()):
        steps, values = same[0].series("budget_tokens")
        label = "budget" if len(budgets) == 1 else f"budget of {', '.join(dict.fromkeys(c.label for c in same))}"
        axis.plot(steps, values, color=INK, linewidth=1.2, linestyle=BUDGETS[number % len(BUDGETS)], label=label)
    _finish_axis(axis, "Tokens of reasoning and budget")
    _legend(figure, [axis])
    caption = "Mean over the rollouts of a step; thin lines: single steps. An arm without a dashed line has no budget."
    return finish("reasoning-length", "Reasoning length", caption, figure)


def _matches(curves: Sequence[Curve], look: Look) -> Plot | None:
    names = {"match": "all", **{f"match_{tier}": tier for tier in TIERS}}
    shown = [name for name in names if _with(curves, name)]
    if not shown:
        return None
    figure = Figure(figsize=(WIDTH, 3.0), layout="constrained")
    axes = figure.subplots(1, len(shown), squeeze=False, sharey=True).ravel()
    for axis, name in zip(axes, shown, strict=True):
        for curve, first in _first_of_label(_with(curves, name)):
            draw_curve(axis, curve, name, look, label=curve.label if first else None, scale=100)
        _finish_axis(axis, f"{names[name]} tokens".replace("all tokens", "all drawn tokens"))
    axes[0].set_ylabel("right predictions, percent")
    _legend(figure, axes)
    caption = "Rollouts in training whose prediction is right. What is drawn changes with the curriculum; tiers do not."
    return finish("match-rate", "Right predictions in training", caption, figure)


def _losses(curves: Sequence[Curve], look: Look) -> Plot | None:
    names = {"loss_rl": "RL loss", "loss_ntp": "next-token loss, nats"}
    shown = [name for name in names if _with(curves, name)]
    if not shown:
        return None
    figure = Figure(figsize=(WIDTH, 3.0), layout="constrained")
    axes = figure.subplots(1, len(shown), squeeze=False).ravel()
    for axis, name in zip(axes, shown, strict=True):
        for curve, first in _first_of_label(_with(curves, name)):
            draw_curve(axis, curve, name, look, label=curve.label if first else None)
        _finish_axis(axis, names[name], from_zero=False)
    _legend(figure, axes)
    caption = (
        "Each term by its own number of tokens. The RL loss hovers around zero whatever is learnt; see the right "
        "predictions. Arms without a term have no line."
    )
    return finish("losses", "Both loss terms", caption, figure)


def _shares(curves: Sequence[Curve], look: Look) -> Plot | None:
    found = _with(curves, "rl_token_share")
    if not found:
        return None
    figure, axis = _one()
    for curve, first in _first_of_label(found):
        draw_curve(axis, curve, "rl_token_share", look, label=curve.label if first else None, scale=100)
    _finish_axis(axis, "Tokens under RL, percent of all trained on")
    axis.set_ylim(0, 105)
    _legend(figure, [axis])
    caption = "Generated tokens under the RL loss, against those and the tokens of the texts under next-token loss."
    return finish("token-share", "Share of tokens under RL", caption, figure)


def _with(curves: Iterable[Curve], metric: str) -> list[Curve]:
    return [curve for curve in curves if curve.series(metric)[0]]


def _first_of_label(curves: Iterable[Curve]) -> Iterable[tuple[Curve, bool]]:
    named: set[str] = set()
    for curve in curves:
        yield curve, curve.label not in named
        named.add(curve.label)


def _one() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.0, 3.5), layout="constrained")
    return figure, figure.subplots()


def _finish_axis(axis: Axes, title: str, *, from_zero: bool = True) -> None:
    axis.set(title=title, xlabel="step")
    axis.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    if from_zero:
        axis.set_ylim(bottom=0)


def _legend(figure: Figure, axes: Sequence[Axes]) -> None:
    """One legend for all panels, whichever of them a line is in."""
    found = {name: handle for axis in axes for handle, name in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=3 if len(axes) == 1 else 5)
