"""The histogram of entropy, with the tiers drawn in."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.shared.figures import INK, PALETTE, blank_figure, drawing_style
from tasks.shared.next_token.method import TIERS, TierConfig
from tasks.texts.schema import SPLIT_FILES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN_NATS = 0.1
"""Width of a bar, nats."""
_COLOURS = {"train": PALETTE[2], "evaluation": PALETTE[1]}


def draw_histogram(histogram: Mapping[str, Any], path: Path, tiers: TierConfig | None = None) -> None:
    """Write a PNG: share of the positions of each split by entropy, on a logarithmic scale.

    Args:
        histogram: counts by split and `bins_per_nat`, as the stage's summary holds them.
        path: file of the picture; its folder is made.
        tiers: thresholds to draw; the method's defaults where None.
    """
    thresholds = {name: getattr(tiers or TierConfig(), name) for name in TIERS}
    splits = {name: histogram[name] for name in SPLIT_FILES if sum(histogram[name])}
    together = round(SHOWN_NATS * histogram["bins_per_nat"])
    with drawing_style():
        figure = blank_figure(7.2, 3.4)
        axis = figure.subplots()
        for index, (split, counts) in enumerate(splits.items()):
            _bars(axis, counts, together, split, (index + 0.5) / len(splits), 1 / len(splits))
        _tiers(axis, thresholds)
        axis.set(
            title="Positions by entropy of the next token", xlabel="entropy, nats", ylabel="percent of the positions"
        )
        axis.set_yscale("log")
        axis.set_xlim(left=0)
        axis.legend(loc="upper right")
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="png", dpi=160, metadata={"Software": None})


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
            fontsize=8,
        )
