"""The figures of a report of reinforcement mid-training."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tasks.report.plots import SMOOTHING, Plot, draw_curve, finish, passes
from tasks.report.provenance import Curve
from tasks.report.rmt.summary import RMTSummary
from tasks.shared.figures import INK, STYLE, WIDTH, Look, shared_legend
from tasks.shared.next_token.method import TIERS

STAGE = "rmt_train"
SMOOTHED = f"thick: moving average over {SMOOTHING} steps."
BUDGETS = ((0, (4, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))
"""Dashes of budgets, so that two arms with the same one are told apart."""


def draw(summary: RMTSummary, curves: Sequence[Curve]) -> list[Plot]:
    """Every figure that there is something to show for."""
    look = Look(tuple(row.label for row in summary.rows))
    trained = over_seeds([curve for curve in curves if curve.stage == STAGE and curve.label in look.labels])
    makers: list[Callable[[Sequence[Curve], Look], Plot | None]] = [_length, _matches, _losses, _shares]
    with mpl.rc_context(STYLE):
        plots = [_bars(summary, look), *(plot for make in makers if (plot := make(trained, look)) is not None)]
        if summary.afterwards is not None:
            labels = tuple(dict.fromkeys(row.label for row in summary.afterwards.models))
            plots.append(passes(summary.afterwards, Look(tuple(dict.fromkeys((*look.labels, *labels))))))
    return plots


def _bars(summary: RMTSummary, look: Look) -> Plot:
    parts, rows = summary.parts, summary.rows
    figure = Figure(figsize=(WIDTH, 3.3), layout="constrained")
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
    shared_legend(figure, [axis], look)
    caption = (
        f"Bars: with reasoning; thin lines: {summary.confidence:.0%} intervals over documents. Dashes inside or above "
        "them: the same checkpoint's likeliest next token, without reasoning."
    )
    return finish("accuracy", "Next-token accuracy by tier", caption, figure)


def _length(curves: Sequence[Curve], look: Look) -> Plot | None:
    found = _with(curves, "reasoning_tokens")
    if not found:
        return None
    figure, axis = _one(len(found))
    for curve in found:
        draw_curve(axis, curve, "reasoning_tokens", look, label=curve.label)
    budgets: dict[tuple[float, ...], list[Curve]] = {}
    for curve in _with(curves, "budget_tokens"):
        if any(curve.series("budget_tokens")[1]):
            budgets.setdefault(tuple(curve.series("budget_tokens")[1]), []).append(curve)
    for number, same in enumerate(budgets.values()):
        steps, values = same[0].series("budget_tokens")
        label = "budget" if len(budgets) == 1 else f"budget of {_some([curve.label for curve in same])}"
        axis.plot(steps, values, color=INK, linewidth=1.2, linestyle=BUDGETS[number % len(BUDGETS)], label=label)
    _finish_axis(axis, "Tokens of reasoning and budget")
    shared_legend(figure, [axis], look)
    caption = (
        f"Mean over the rollouts of a step and over seeds; {SMOOTHED} Models without a dashed line of theirs were "
        "asked for no number of tokens."
    )
    return finish("reasoning-length", "Reasoning length", caption, figure)


def _matches(curves: Sequence[Curve], look: Look) -> Plot | None:
    names = {"match": "all drawn tokens", **{f"match_{tier}": f"{tier} tokens" for tier in TIERS}}
    shown = [name for name in names if _with(curves, name)]
    if not shown:
        return None
    figure = Figure(figsize=(WIDTH, 2.7), layout="constrained")
    axes = figure.subplots(1, len(shown), squeeze=False, sharey=True).ravel()
    for axis, name in zip(axes, shown, strict=True):
        for curve in _with(curves, name):
            draw_curve(axis, curve, name, look, label=curve.label, scale=100)
    # The panels share their scale, which is settled when all of them are drawn.
    for axis, name in zip(axes, shown, strict=True):
        _finish_axis(axis, names[name])
    axes[0].set_ylabel("right predictions, percent")
    shared_legend(figure, axes, look)
    caption = (
        f"Rollouts in training whose prediction is right, mean over seeds; {SMOOTHED} With a curriculum, ever harder "
        "tokens are drawn, so the first panel may fall while the others rise."
    )
    return finish("match-rate", "Right predictions in training", caption, figure)


def _losses(curves: Sequence[Curve], look: Look) -> Plot | None:
    names = {"loss_rl": "RL loss", "loss_ntp": "next-token loss, nats"}
    shown = [name for name in names if _with(curves, name)]
    if not shown:
        return None
    figure = Figure(figsize=(WIDTH, 2.7), layout="constrained")
    axes = figure.subplots(1, len(shown), squeeze=False).ravel()
    for axis, name in zip(axes, shown, strict=True):
        for curve in _with(curves, name):
            draw_curve(axis, curve, name, look, label=curve.label)
        _finish_axis(axis, names[name], from_zero=False)
    shared_legend(figure, axes, look)
    caption = (
        "Each term over its own number of tokens, mean over seeds. The RL loss hovers around zero whatever is learnt: "
        "see the right predictions. A model trained without a term has no line."
    )
    return finish("losses", "Both loss terms", caption, figure)


def _shares(curves: Sequence[Curve], look: Look) -> Plot | None:
    found = _with(curves, "rl_token_share")
    if not found:
        return None
    figure, axis = _one(len(found))
    for curve in found:
        draw_curve(axis, curve, "rl_token_share", look, label=curve.label, scale=100)
    _finish_axis(axis, "Tokens under RL, percent of all trained on")
    axis.set_ylim(0, 105)
    shared_legend(figure, [axis], look)
    caption = "Generated tokens under the RL loss, against those and the tokens of the texts under next-token loss."
    return finish("token-share", "Share of tokens under RL", caption, figure)


def _with(curves: Iterable[Curve], metric: str) -> list[Curve]:
    return [curve for curve in curves if curve.series(metric)[0]]


def over_seeds(curves: Iterable[Curve]) -> list[Curve]:
    """One curve for each label: the mean of its seeds, at the steps that all of them have."""
    seeds: dict[str, list[Curve]] = {}
    for curve in curves:
        seeds.setdefault(curve.label, []).append(curve)
    return [_mean(label, several) for label, several in seeds.items()]


def _mean(label: str, curves: Sequence[Curve]) -> Curve:
    by_step: dict[float, list[Mapping[str, float]]] = {}
    for point in (point for curve in curves for point in curve.points):
        by_step.setdefault(point["step"], []).append(point)
    points = []
    for step, several in sorted(by_step.items()):
        if len(several) == len(curves):
            shared = set.intersection(*(set(point) for point in several)) - {"step"}
            means = {name: sum(point[name] for point in several) / len(several) for name in sorted(shared)}
            points.append({"step": step, **means})
    return Curve(label, curves[0].seed, curves[0].stage, tuple(points))


def _one(lines: int) -> tuple[Figure, Axes]:
    """Half a page wide, or a whole one for many lines."""
    figure = Figure(figsize=(5.0 if lines <= 6 else WIDTH, 3.2), layout="constrained")
    return figure, figure.subplots()


def _some(labels: Sequence[str]) -> str:
    """A few names, and how many more there are."""
    return ", ".join(labels) if len(labels) <= 3 else f"{labels[0]} and {len(labels) - 1} others"


def _finish_axis(axis: Axes, title: str, *, from_zero: bool = True) -> None:
    axis.set(title=title, xlabel="step")
    axis.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    if from_zero:
        axis.set_ylim(bottom=0)
