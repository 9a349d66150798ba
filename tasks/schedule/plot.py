"""The schedule as a picture: what is asked and what is drawn, over the steps."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.schedule.config import ScheduleConfig
from tasks.shared.figures import INK, MARKERS, NARROW, PALETTE, WIDTH, blank_figure, drawing_style, whole_ticks
from tasks.shared.next_token.method import TIERS, budget, mixture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = dict(zip(TIERS, (PALETTE[4], PALETTE[1], PALETTE[3]), strict=True))


def draw_schedule(summary: Mapping[str, Any], config: ScheduleConfig, path: Path) -> None:
    """Write the figure as a PNG; the folder of `path` is made."""
    with drawing_style():
        path.parent.mkdir(parents=True, exist_ok=True)
        schedule_figure(summary, config).savefig(path, format="png", dpi=160, metadata={"Software": None})


def schedule_figure(summary: Mapping[str, Any], config: ScheduleConfig, narrow: bool = False) -> "Figure":
    """The budget, and the tiers as planned (lines) and as drawn (markers), over the steps.

    Args:
        summary: the stage's summary.
        narrow: for a phone, one panel below the other.
    """
    figure = blank_figure(NARROW, 6.8) if narrow else blank_figure(WIDTH, 3.4)
    first, second = figure.subplots(2, 1) if narrow else figure.subplots(1, 2)
    _budget(first, summary["steps"], config)
    _tiers(second, summary, config, columns=2 if narrow else 4)
    for axis in (first, second):
        axis.set_xlabel("step")
        whole_ticks(axis)
        axis.set_ylim(bottom=0)
    return figure


def _budget(axis: "Axes", steps: int, config: ScheduleConfig) -> None:
    if not config.budget.enabled:
        axis.set(title="Token budget: none is asked for", yticks=[])
        return
    axis.plot(range(steps), [budget(step, steps, config.budget) for step in range(steps)], color=PALETTE[2])
    axis.set(title="Token budget", ylabel="tokens of reasoning asked for")


def _tiers(axis: "Axes", summary: Mapping[str, Any], config: ScheduleConfig, columns: int) -> None:
    planned = _planned(summary, config)
    blocks = summary["blocks"]
    middles = [(block["first_step"] + block["last_step"]) / 2 for block in blocks]
    totals = [sum(block[tier] for tier in TIERS) for block in blocks]
    for index, tier in enumerate(TIERS):
        shares = [100 * block[tier] / total for block, total in zip(blocks, totals, strict=True)]
        axis.plot(range(summary["steps"]), [100 * step[index] for step in planned], color=_COLOURS[tier], linewidth=1.4)
        axis.plot(middles, shares, MARKERS[index], color=_COLOURS[tier], markersize=4.5, label=tier)
    short = [(middle, block["fallbacks"]) for middle, block in zip(middles, blocks, strict=True) if block["fallbacks"]]
    if short:
        axis.plot([middle for middle, _ in short], [1.5] * len(short), "x", color=INK, label="a tier was used up")
    axis.set(title="Tiers: planned (lines) and drawn (markers)", ylabel="percent of the positions")
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=columns)


def _planned(summary: Mapping[str, Any], config: ScheduleConfig) -> list[tuple[float, ...]]:
    """Probabilities of the tiers at each step; without a curriculum their shares of all that can be drawn."""
    steps = summary["steps"]
    if config.curriculum.enabled:
        return [mixture(step, steps, config.curriculum) for step in range(steps)]
    drawable = [summary["tiers"][tier]["drawable"] for tier in TIERS]
    return [tuple(count / sum(drawable) for count in drawable)] * steps
