"""The report's figures."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tasks.report.provenance import Curve
from tasks.report.summary import HeuristicRow, ModelRow, ReportSummary
from tasks.shared.figures import STYLE, WIDTH, Look, shared_legend

PALE = ("#77aadd", "#ee8866", "#44bb99", "#eedd88", "#ffaabb", "#99ddff", "#bbcc33", "#dddddd", "#aaaa00")
"""Paul Tol's light scheme, for parts of a whole; no model has one of these colours."""
SMOOTHING = 9
"""Steps of the moving average drawn over a noisy training curve."""


@dataclass(frozen=True)
class Plot:
    """One figure in both forms."""

    name: str
    title: str
    caption: str
    svg: str
    """For the page; text stays text."""
    png: bytes


def draw(summary: ReportSummary, curves: Sequence[Curve]) -> list[Plot]:
    """Every figure that there is something to show for."""
    look = Look(tuple(dict.fromkeys(row.label for row in summary.models)))
    rl = [curve for curve in curves if curve.series("reward")[0]]
    sft = [curve for curve in curves if curve.series("loss")[0] and curve not in rl]
    with mpl.rc_context(STYLE):
        plots = [passes(summary, look)]
        if rl:
            plots.append(_training("reward", "Reward in RL", rl, look))
        if sft:
            plots.append(_training("loss", "Loss in mid-training", sft, look))
        if summary.heuristics:
            plots.append(_heuristics(summary.heuristics))
        if summary.styles:
            plots.append(_styles(summary.styles))
    return plots


def passes(summary: ReportSummary, look: Look) -> Plot:
    """pass@k over k, a panel for each benchmark."""
    names = summary.benchmarks
    columns = min(3, len(names))
    lines = -(-len(names) // columns)
    width = WIDTH if columns > 1 else 0.6 * WIDTH
    figure = Figure(figsize=(width, 3.0 * lines + 0.2), layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    for axis, benchmark in zip(axes, names, strict=False):
        for row in summary.models:
            if row.benchmark == benchmark:
                _pass_curve(axis, row, look)
        axis.set(title=f"{benchmark}, pass@k in percent", xlabel="k")
        axis.set_ylim(bottom=0)
    for axis in axes[len(names) :]:
        axis.remove()
    shared_legend(figure, axes, look)
    caption = f"Bands are {summary.confidence:.0%} intervals over questions. The k axis is logarithmic."
    return finish("pass-at-k", "pass@k", caption, figure)


def _pass_curve(axis: Axes, row: ModelRow, look: Look) -> None:
    found = [(int(name.removeprefix("pass@")), metric) for name, metric in row.metrics.items() if "@" in name]
    ks = [k for k, _ in found]
    colour = look.colour(row.label)
    axis.fill_between(
        ks, [100 * m.low for _, m in found], [100 * m.high for _, m in found], color=colour, alpha=0.14, linewidth=0
    )
    means = [100 * metric.mean for _, metric in found]
    axis.plot(ks, means, color=colour, marker=look.marker(row.label), markersize=4, linewidth=1.6, label=row.label)
    axis.set_xscale("log", base=2)
    axis.set_xticks(ks, [str(k) for k in ks])
    axis.minorticks_off()


def _training(metric: str, title: str, curves: Sequence[Curve], look: Look) -> Plot:
    figure = Figure(figsize=(5.0, 3.0), layout="constrained")
    axis = figure.subplots()
    named: set[str] = set()
    smoothed = False
    for curve in curves:
        label = None if curve.label in named else curve.label
        named.add(curve.label)
        smoothed |= draw_curve(axis, curve, metric, look, label=label)
    axis.set(title=title, xlabel="step")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_ylim(bottom=0)
    axis.legend(loc="best")
    caption = "One line per run" + (f"; thick: moving average over {SMOOTHING} steps." if smoothed else ".")
    return finish(f"training-{metric}", title, caption, figure)


def draw_curve(axis: Axes, curve: Curve, metric: str, look: Look, *, label: str | None, scale: float = 1.0) -> bool:
    """A training curve; a long one with its moving average, which is returned as True. None leaves the legend alone."""
    steps, values = curve.series(metric)
    values, colour = [scale * value for value in values], look.colour(curve.label)
    if len(values) < 2 * SMOOTHING:
        axis.plot(steps, values, color=colour, linewidth=1.6, label=label)
        return False
    axis.plot(steps, values, color=colour, linewidth=0.7, alpha=0.3)
    axis.plot(steps, moving_average(values, SMOOTHING), color=colour, linewidth=1.8, label=label)
    return True


def moving_average(values: Sequence[float], width: int) -> list[float]:
    """Centred mean over at most `width` values; fewer near the ends, so that nothing is invented there."""
    half = width // 2
    windows = (values[max(0, index - half) : index + half + 1] for index in range(len(values)))
    return [sum(window) / len(window) for window in windows]


def _heuristics(rows: Sequence[HeuristicRow]) -> Plot:
    several = len({row.arms for row in rows}) > 1
    ordered = sorted(rows, key=lambda row: row.correct_rate)
    names = [(row.name or "plain prompt") + (f" ({row.arms})" if several else "") for row in ordered]
    figure = Figure(figsize=(0.78 * WIDTH, 0.9 + 0.3 * len(rows)), layout="constrained")
    axis = figure.subplots()
    correct = [100 * row.correct_rate for row in ordered]
    kept = [100 * row.kept / row.samples if row.samples else 0.0 for row in ordered]
    axis.barh(names, correct, height=0.62, color="#56b4e9", label="right final answer")
    axis.barh(names, kept, height=0.26, color="#0072b2", label="kept for training")
    for index, value in enumerate(correct):
        axis.annotate(f"{value:.1f}", (value, index), (4, 0), textcoords="offset points", va="center", fontsize=8.5)
    axis.set(xlabel="percent of the samples")
    axis.set_xlim(0, max(10.0, *(value * 1.12 for value in correct)))
    axis.grid(axis="y", visible=False)
    axis.tick_params(axis="y", length=0)
    axis.legend(loc="lower right")
    return finish(
        "heuristics", "Solutions by heuristic", "At most one solution per question and heuristic is kept.", figure
    )


def _styles(styles: dict[str, dict[str, dict[str, float]]]) -> Plot:
    names = list(dict.fromkeys(style for labels in styles.values() for shares in labels.values() for style in shares))
    rows = max(len(labels) for labels in styles.values())
    figure = Figure(figsize=(WIDTH, (0.5 + 0.36 * rows) * len(styles) + 0.7), layout="constrained")
    axes = figure.subplots(len(styles), 1, squeeze=False, sharex=True).ravel()
    for axis, (benchmark, labels) in zip(axes, styles.items(), strict=True):
        left = [0.0] * len(labels)
        for index, style in enumerate(names):
            widths = [100 * shares.get(style, 0.0) for shares in labels.values()]
            colour = PALE[index % len(PALE)]
            axis.barh(
                list(labels),
                widths,
                left=left,
                height=0.66,
                color=colour,
                edgecolor="white",
                linewidth=0.8,
                label=style,
            )
            left = [start + width for start, width in zip(left, widths, strict=True)]
        axis.set(title=benchmark)
        axis.set_xlim(0, 100)
        axis.invert_yaxis()
        axis.grid(visible=False)
        axis.tick_params(axis="y", length=0)
    axes[-1].set_xlabel("percent of the sampled completions")
    handles, found = axes[0].get_legend_handles_labels()
    figure.legend(handles, found, loc="outside lower center", ncols=min(8, len(found)))
    return finish("styles", "Styles of the answers", "Judged by how a completion begins.", figure)


def finish(name: str, title: str, caption: str, figure: Figure) -> Plot:
    """A figure in both forms, the same bytes for the same content."""
    svg, png = io.StringIO(), io.BytesIO()
    figure.savefig(svg, format="svg", metadata={"Date": None})
    figure.savefig(png, format="png", dpi=160, metadata={"Software": None})
    text = svg.getvalue()
    return Plot(name, title, caption, text[text.index("<svg") :], png.getvalue())
