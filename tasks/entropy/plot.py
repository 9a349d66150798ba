"""The histogram of entropy, with the tiers drawn in."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.shared.figures import INK, PALETTE, blank_figure, drawing_style, legend_columns
from tasks.shared.next_token.method import TIERS, TierConfig
from tasks.texts.schema import SPLIT_FILES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN_NATS = 0.1
"""Width of a bar, nats."""
_COLOURS = {"train": PALETTE[2], "evaluation": PALETTE[1]}


def draw_histogram(histogram: Mapping[str, Any], path: Path, tiers: TierConfig | None = None) -> None:
    """Write the figure as a PNG; the folder of `path` is made."""
    with drawing_style():
        path.parent.mkdir(parents=True, exist_ok=True)
        histogram_figure(histogram, 7.2, tiers).savefig(path, format="png", dpi=160, metadata={"Software": None})


def histogram_figure(histogram: Mapping[str, Any], width: float, tiers: TierConfig | None = None) -> "Figure":
    """Share of the positions of each split by entropy, on a logarithmic scale.

    Args:
        histogram: counts by split and `bins_per_nat`, as the stage's summary holds them.
        width: inches.
        tiers: thresholds to draw; the method's defaults where None.
    """
    thresholds = {name: getattr(tiers or TierConfig(), name) for name in TIERS}
    splits = {name: histogram[name] for name in SPLIT_FILES if sum(histogram[name])}
    together = round(SHOWN_NATS * histogram["bins_per_nat"])
    figure = blank_figure(width, 3.4)
    axis = figure.subplots()
    for index, (split, counts) in enumerate(splits.items()):
        _bars(axis, counts, together, split, (index + 0.5) / len(splits), 1 / len(splits))
    _tiers(axis, thresholds)
    axis.set(title="Positions by entropy of the next token", xlabel="entropy, nats", ylabel="percent of the positions")
    axis.set_yscale("log")
    # Its own labels of powers are formulas, which no figure has.
    axis.yaxis.set_major_formatter("{x:g}")
    axis.set_xlim(left=0)
    names = axis.get_legend_handles_labels()[1]
    figure.legend(loc="outside lower center", ncols=legend_columns([len(name) for name in names], width))
    return figure


def _bars(axis: "Axes", counts: list[int], together: int, split: str, middle: float, share: float) -> None:
    summed = [sum(counts[start : start + together]) for start in range(0, len(counts), together)]
    total = sum(counts)
    axis.bar(
        [(index + middle) * SHOWN_NATS for index in range(len(summed))],
        [100 * count / total for count in summed],
        width=0.92 * share * SHOWN_NATS,
        color=_COLOURS[split],
        label=f"{split}: {total:,} positions",
    )


def _tiers(axis: "Axes", thresholds: Mapping[str, float]) -> None:
    for name, threshold in thresholds.items():
        axis.axvline(threshold, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
        axis.annotate(
            f"{name} from {threshold:g}",
            (threshold, 1),
            (3, -3),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            rotation=90,
            va="top",
            bbox={"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 1},
        )
