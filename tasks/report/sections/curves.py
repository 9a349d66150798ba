"""Figures of curves: pass@k over k, and what trainings reported of their steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.report.blocks import Block, Figure, Paragraph
from tasks.report.rows import ModelRow
from tasks.report.sections.drawing import SMOOTHED, draw_curve, figure, is_long, over_seeds, reporting
from tasks.report.summary import Curve, ReportSummary
from tasks.shared.figures import INK, NARROW, WIDTH, FigureStyle, blank_figure, shared_legend, whole_ticks
from tasks.shared.next_token.method import TIERS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

BUDGETS = ((0, (4, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))
"""Dashes of budgets, so that two arms with the same one are told apart."""
LENGTH, BUDGET = "reasoning_tokens", "budget_tokens"


@dataclass(frozen=True)
class Panels:
    """One figure of trainings: a panel for each metric that some training reported."""

    name: str
    title: str
    """What the figure is called."""
    titles: Mapping[str, str]
    """What stands above the panel of a metric."""
    caption: str
    half: bool = False
    scale: float = 1
    top: float | None = None
    from_zero: bool = True
    together: str = ""
    """What the axis of panels with one scale measures; empty where each has its own."""
    runs: bool = False
    """Whether there is a line for each run, in a small figure with its legend inside."""


NEXT_TOKEN = (
    Panels(
        "reasoning-length",
        "Length of reasoning",
        {LENGTH: "Tokens of reasoning and budget"},
        f"Mean over the rollouts of a step and over seeds; {SMOOTHED} Models without a dashed line of theirs were "
        "asked for no number of tokens.",
        half=True,
    ),
    Panels(
        "token-share",
        "Tokens under RL",
        {"rl_token_share": "Tokens under RL, percent of all trained on"},
        "Generated tokens under the RL loss, against those and the tokens of the texts under next-token loss.",
        half=True,
        scale=100,
        top=105,
    ),
    Panels(
        "match-rate",
        "Right predictions in training",
        {"match": "all drawn tokens", **{f"match_{tier}": f"{tier} tokens" for tier in TIERS}},
        f"Rollouts in training whose prediction is right, mean over seeds; {SMOOTHED} With a curriculum, ever harder "
        "tokens are drawn, so the first panel may fall while the others rise.",
        scale=100,
        together="right predictions, percent",
    ),
    Panels(
        "losses",
        "Losses",
        {"loss_rl": "RL loss", "loss_ntp": "next-token loss, nats"},
        "Each term over its own number of tokens, mean over seeds. The RL loss hovers around zero whatever is learnt: "
        "see the right predictions. A model trained without a term has no line.",
        from_zero=False,
    ),
)
"""Metrics that training on next tokens reports, and no other training."""


def pass_curves(summary: ReportSummary) -> Figure:
    """pass@k over k, a panel for each benchmark."""
    caption = f"Bands are {summary.confidence:.0%} intervals over questions. The k axis is logarithmic."
    return figure("pass-at-k", "Solved within k samples", caption, lambda narrow: _passes(summary, narrow))


def _passes(summary: ReportSummary, narrow: bool) -> "Drawing":
    names, style = summary.benchmarks, FigureStyle(summary.labels)
    columns = 1 if narrow else min(3, len(names))
    lines = -(-len(names) // columns)
    width = NARROW if narrow else WIDTH if columns > 1 else 0.6 * WIDTH
    drawing = blank_figure(width, 3.0 * lines + 0.2)
    axes = drawing.subplots(lines, columns, squeeze=False).ravel()
    for axis, benchmark in zip(axes, names, strict=False):
        for row in summary.models:
            if row.benchmark == benchmark:
                _pass_curve(axis, row, style)
        axis.set(title=f"{benchmark}, pass@k in percent", xlabel="k")
        axis.set_ylim(bottom=0)
    for axis in axes[len(names) :]:
        axis.remove()
    return shared_legend(drawing, axes, style)


def _pass_curve(axis: "Axes", row: ModelRow, style: FigureStyle) -> None:
    metrics = {int(name.removeprefix("pass@")): metric for name, metric in row.metrics.items() if name[:5] == "pass@"}
    colour, ks = style.colour(row.label), list(metrics)
    low, high = [100 * metric.low for metric in metrics.values()], [100 * metric.high for metric in metrics.values()]
    axis.fill_between(ks, low, high, color=colour, alpha=0.14, linewidth=0)
    means = [100 * metric.mean for metric in metrics.values()]
    axis.plot(
        ks,
        means,
        color=colour,
        marker=style.marker(row.label),
        markersize=4,
        linewidth=1.6,
        label=style.name(row.label),
    )
    axis.set_xscale("log", base=2)
    axis.set_xticks(ks, [str(k) for k in ks])
    axis.minorticks_off()


def training(summary: ReportSummary) -> list[Block]:
    """Reward in RL and loss in mid-training."""
    rl = reporting(summary.curves, "reward")
    sft = [curve for curve in reporting(summary.curves, "loss") if curve not in rl]
    shown = (("reward", "Reward in RL", rl), ("loss", "Loss in mid-training", sft))
    figures: list[Figure] = []
    for metric, title, curves in shown:
        smoothed = any(is_long(curve, metric) for curve in curves)
        caption = "One line per run" + (f"; {SMOOTHED}" if smoothed else ".")
        panels = Panels(f"training-{metric}", title, {metric: title}, caption, half=True, runs=True)
        figures += [_panels(panels, curves, FigureStyle(summary.labels))] if curves else []
    return [Paragraph("Training", "title"), *figures] if figures else []


def next_token_training(summary: ReportSummary) -> list[Block]:
    """What trainings on next tokens reported, mean over seeds."""
    predicted = {row.label for row in summary.predictions.rows} if summary.predictions else set()
    metrics = [metric for panels in NEXT_TOKEN for metric in panels.titles]
    curves = over_seeds(curve for curve in reporting(summary.curves, *metrics) if curve.label in predicted)
    style = FigureStyle(summary.labels)
    figures = [_panels(panels, curves, style) for panels in NEXT_TOKEN if reporting(curves, *panels.titles)]
    return [Paragraph("Training", "title"), *figures] if figures else []


def _panels(panels: Panels, curves: Sequence[Curve], style: FigureStyle) -> Figure:
    shown = {metric: reported for metric in panels.titles if (reported := reporting(curves, metric))}
    width = 5.0 if panels.runs or (panels.half and len(next(iter(shown.values()))) <= 6) else WIDTH
    height = 3.0 if panels.runs else 3.2 if panels.half else 2.7

    def draw(narrow: bool) -> "Drawing":
        lines, columns = (len(shown), 1) if narrow else (1, len(shown))
        drawing = blank_figure(NARROW if narrow else width, height * lines)
        axes = drawing.subplots(lines, columns, squeeze=False, sharey=bool(panels.together)).ravel()
        for axis, (metric, reported) in zip(axes, shown.items(), strict=True):
            named: set[str] = set()
            for curve in reported:
                label = None if curve.label in named else style.name(curve.label)
                draw_curve(axis, curve, metric, style, label=label, scale=panels.scale)
                named.add(curve.label)
            if metric == LENGTH:
                _budgets(axis, curves)
        # Panels that share their scale settle it when all of them are drawn.
        for axis, metric in zip(axes, shown, strict=True):
            axis.set(title=panels.titles[metric], xlabel="step")
            whole_ticks(axis, 10 if panels.runs else 5)
            if panels.from_zero:
                axis.set_ylim(0, panels.top)
        axes[0].set_ylabel(panels.together)
        if panels.runs:
            axes[0].legend(loc="best")
            return drawing
        return shared_legend(drawing, axes, style)

    return figure(panels.name, panels.title, panels.caption, draw, half=panels.half)


def _budgets(axis: "Axes", curves: Sequence[Curve]) -> None:
    """A dashed line for each budget of tokens."""
    budgets: dict[tuple[float, ...], list[Curve]] = {}
    for curve in curves:
        if any(curve.series(BUDGET)[1]):
            budgets.setdefault(tuple(curve.series(BUDGET)[1]), []).append(curve)
    for number, same in enumerate(budgets.values()):
        steps, values = same[0].series(BUDGET)
        labels = [curve.label for curve in same]
        some = ", ".join(labels) if len(labels) <= 3 else f"{labels[0]} and {len(labels) - 1} others"
        label = "budget" if len(budgets) == 1 else f"budget of {some}"
        axis.plot(steps, values, color=INK, linewidth=1.2, linestyle=BUDGETS[number % len(BUDGETS)], label=label)
