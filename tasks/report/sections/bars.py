"""Figures of bars: accuracy by tier, solutions by heuristic, styles of answers."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tasks.report.blocks import Figure
from tasks.report.sections.drawing import figure, lines_of, wrapped
from tasks.report.summary import PredictionSummary, ReportSummary
from tasks.report.training_rows import HeuristicRow
from tasks.shared.figures import INK, NARROW, WIDTH, FigureStyle, blank_figure, shared_legend

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

PALE = ("#77aadd", "#ee8866", "#44bb99", "#eedd88", "#ffaabb", "#99ddff", "#bbcc33", "#dddddd", "#aaaa00")
"""Paul Tol's light scheme, for parts of a whole; no model has one of these colours."""
Styles = Mapping[str, Mapping[str, Mapping[str, float]]]


def accuracy_bars(summary: ReportSummary, predictions: PredictionSummary) -> Figure:
    """Next-token accuracy by tier, with and without reasoning."""
    caption = (
        f"Bars: with reasoning; thin lines: {summary.confidence:.0%} intervals over documents. Dashes inside or above "
        "them: the same checkpoint's likeliest next token, without reasoning."
    )
    title, style = "Next-token accuracy by tier", FigureStyle(summary.labels)
    return figure("accuracy", title, caption, lambda narrow: _accuracy(predictions, style, narrow))


def _accuracy(predictions: PredictionSummary, style: FigureStyle, narrow: bool) -> "Drawing":
    parts, rows = predictions.parts, predictions.rows
    drawing = blank_figure(NARROW if narrow else WIDTH, 3.3)
    axis = drawing.subplots()
    width = 0.84 / len(rows)
    for number, row in enumerate(rows):
        places = [index + (number - (len(rows) - 1) / 2) * width for index in range(len(parts))]
        metrics = [row.reasoning[part] for part in parts]
        means = [100 * metric.mean for metric in metrics]
        below = [100 * max(0.0, metric.mean - metric.low) for metric in metrics]
        above = [100 * max(0.0, metric.high - metric.mean) for metric in metrics]
        whiskers = {"ecolor": INK, "elinewidth": 0.9, "capsize": 2}
        colour = style.colour(row.label)
        axis.bar(
            places,
            means,
            width * 0.92,
            color=colour,
            yerr=[below, above],
            error_kw=whiskers,
            label=style.name(row.label),
        )
        direct = [100 * row.direct[part].mean for part in parts]
        name = "without reasoning" if number == 0 else None
        axis.plot(places, direct, linestyle="", marker="_", markersize=9, color=INK, label=name)
    axis.set_xticks(range(len(parts)), parts)
    axis.set(title="Next-token accuracy with reasoning, percent")
    axis.set_ylim(bottom=0)
    axis.grid(axis="x", visible=False)
    return shared_legend(drawing, [axis], style)


def heuristic_bars(rows: Sequence[HeuristicRow]) -> Figure:
    """Right solutions and those kept, by heuristic."""
    caption = "At most one solution per question and heuristic is kept."
    return figure("heuristics", "Solutions by heuristic", caption, lambda narrow: _heuristics(rows, narrow))


def _heuristics(rows: Sequence[HeuristicRow], narrow: bool) -> "Drawing":
    several = len({row.arms for row in rows}) > 1
    ordered = sorted(rows, key=lambda row: row.correct_rate)
    full = ((row.name or "plain prompt") + (f" ({row.arms})" if several else "") for row in ordered)
    names = wrapped(full, narrow)
    height = 0.9 + sum(0.16 + 0.14 * lines_of(name) for name in names)
    drawing = blank_figure(NARROW if narrow else 0.78 * WIDTH, height)
    axis = drawing.subplots()
    correct = [100 * row.correct_rate for row in ordered]
    kept = [100 * row.kept / row.samples if row.samples else 0.0 for row in ordered]
    axis.barh(names, correct, height=0.62, color="#56b4e9", label="right final answer")
    axis.barh(names, kept, height=0.26, color="#0072b2", label="kept for training")
    for index, value in enumerate(correct):
        axis.annotate(
            f"{value:.1f}",
            (value, index),
            (4, 0),
            textcoords="offset points",
            va="center",
        )
    axis.set(xlabel="percent of the samples")
    axis.set_xlim(0, max(10.0, *(value * 1.12 for value in correct)))
    axis.grid(axis="y", visible=False)
    axis.tick_params(axis="y", length=0)
    drawing.legend(loc="outside lower center", ncols=2)
    return drawing


def style_bars(styles: Styles) -> Figure:
    """Shares of the styles in which completions begin, by benchmark and model."""
    title, caption = "Styles of the answers", "Judged by how a completion begins."
    return figure("styles", title, caption, lambda narrow: _styles(styles, narrow))


def _styles(styles: Styles, narrow: bool) -> "Drawing":
    names = list(dict.fromkeys(style for labels in styles.values() for shares in labels.values() for style in shares))
    rows = max(len(labels) for labels in styles.values())
    drawing = blank_figure(NARROW if narrow else WIDTH, (0.5 + 0.36 * rows) * len(styles) + 0.7)
    axes = drawing.subplots(len(styles), 1, squeeze=False, sharex=True).ravel()
    for axis, (benchmark, labels) in zip(axes, styles.items(), strict=True):
        left = [0.0] * len(labels)
        for index, style in enumerate(names):
            widths = [100 * shares.get(style, 0.0) for shares in labels.values()]
            drawn = {"color": PALE[index % len(PALE)], "edgecolor": "white", "linewidth": 0.8, "label": style}
            axis.barh(wrapped(labels, narrow), widths, left=left, height=0.66, **drawn)
            left = [start + width for start, width in zip(left, widths, strict=True)]
        axis.set(title=benchmark)
        axis.set_xlim(0, 100)
        axis.invert_yaxis()
        axis.grid(visible=False)
        axis.tick_params(axis="y", length=0)
    axes[-1].set_xlabel("percent of the sampled completions")
    handles, names = axes[0].get_legend_handles_labels()
    drawing.legend(handles, names, loc="outside lower center", ncols=min(2 if narrow else 8, len(names)))
    return drawing
