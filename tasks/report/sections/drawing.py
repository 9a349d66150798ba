"""What figures share: how one becomes SVG and PNG, smoothed curves, and curves averaged over seeds."""

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING

from tasks.report.blocks import DrawnFigure, Figure
from tasks.report.summary import Curve
from tasks.shared.figures import FigureStyle, drawing_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

SMOOTHING = 9
"""Steps of the moving average drawn over a noisy training curve."""
NARROW_DPI = 200
"""Two dots of a PNG for each pixel of a phone."""
WIDE_NAME, NARROW_NAME = 62, 30
"""Characters of a line of a name beside an axis."""
SMOOTHED = f"thick: moving average over {SMOOTHING} steps."


def figure(name: str, title: str, caption: str, draw: "Callable[[bool], Drawing]", *, half: bool = False) -> Figure:
    """A figure in every form, the same bytes for the same content; `draw` is told whether it is for a phone.

    Without a name, which would be that of its file, it has no PNG.
    """

    def make() -> DrawnFigure:
        with drawing_style():
            wide = _svg(draw(False))
        # Both stand in one page, where no name may be given twice.
        with drawing_style("narrow"):
            drawing, png = draw(True), io.BytesIO()
            if name:
                # Narrow: the page of a run has one picture for every screen, a phone's too.
                drawing.savefig(png, format="png", dpi=NARROW_DPI, metadata={"Software": None})
            return DrawnFigure(wide, _svg(drawing), png.getvalue())

    return Figure(name, title, caption, make, half)


def wrapped(names: Iterable[str], narrow: bool) -> list[str]:
    """Names beside an axis, over several lines where they would leave it no room."""
    return [fill(name, NARROW_NAME if narrow else WIDE_NAME, break_on_hyphens=False) for name in names]


def lines_of(name: str) -> int:
    """Lines that a wrapped name takes."""
    return name.count("\n") + 1


def _svg(drawing: "Drawing") -> str:
    svg = io.StringIO()
    drawing.savefig(svg, format="svg", metadata={"Date": None})
    text = svg.getvalue()
    return text[text.index("<svg") :]


def draw_curve(
    axis: "Axes", curve: Curve, metric: str, style: FigureStyle, *, label: str | None, scale: float = 1
) -> None:
    """A training curve; a long one with its moving average. A label of None leaves the legend alone."""
    steps, values = curve.series(metric)
    values, colour = [scale * value for value in values], style.colour(curve.label)
    if is_long(curve, metric):
        axis.plot(steps, values, color=colour, linewidth=0.7, alpha=0.3)
        axis.plot(steps, moving_average(values, SMOOTHING), color=colour, linewidth=1.8, label=label)
    else:
        # A line through one step would not be seen.
        axis.plot(steps, values, "o" if len(steps) == 1 else "", color=colour, linewidth=1.6, label=label)


def is_long(curve: Curve, metric: str) -> bool:
    """Whether a curve has steps enough for a moving average."""
    return len(curve.series(metric)[0]) >= 2 * SMOOTHING


def moving_average(values: Sequence[float], width: int) -> list[float]:
    """Centred mean over at most `width` values; fewer near the ends, so that nothing is invented there."""
    half = width // 2
    windows = (values[max(0, index - half) : index + half + 1] for index in range(len(values)))
    return [sum(window) / len(window) for window in windows]


def reporting(curves: Iterable[Curve], *metrics: str) -> list[Curve]:
    """Curves that have one of some metrics."""
    return [curve for curve in curves if any(curve.series(metric)[0] for metric in metrics)]


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
