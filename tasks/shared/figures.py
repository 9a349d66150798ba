"""What all figures share: colours that colour-blind readers can tell apart, markers for print, the legend.

matplotlib is imported where something is drawn: most commands draw nothing.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PALETTE = ("#7a7a7a", "#e69f00", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#8c6d31")
"""Okabe and Ito's colours, grey first: the base model is the reference."""
BLACK, WHITE = 0.0, 1.0
SHADES = ((BLACK, 0.0), (BLACK, 0.45), (WHITE, 0.5))
"""What the palette is mixed with, and how much, each time that it begins again."""
WIDTH = 10.3
"""Inches across the page."""
NARROW = 4.0
"""Inches across a phone, where its 9 points are 11 pixels."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
CHARACTERS_PER_INCH, KEY_CHARACTERS = 16, 10
"""Widths in a legend; the second is what a line's sample and the gaps around it take."""
LEGEND_LINE = 0.18
"""Inches."""
INK, FAINT = "#1f2328", "#d8dce1"
STYLE = {
    "font.family": "sans-serif",
    # Comes with matplotlib: with another, widths and so every byte would hang on what a machine has installed.
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": "#9aa1a9",
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "text.color": INK,
    # Names with dollar signs are not formulas.
    "text.parse_math": False,
    "xtick.color": "#57606a",
    "ytick.color": "#57606a",
    "legend.frameon": False,
    "svg.fonttype": "none",
}


def drawing_style(salt: str = "report") -> AbstractContextManager[None]:
    """Within, figures are drawn in `STYLE` alone, whatever a `matplotlibrc` of the user or of the folder says.

    Figures that one page shows twice need a `salt` each: the names inside of an SVG follow from it.
    """
    from matplotlib.style import context

    return context({**STYLE, "svg.hashsalt": salt}, after_reset=True)


def blank_figure(width: float, height: float) -> "Figure":
    """A figure of so many inches, whose parts make room for one another."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def whole_ticks(axis: "Axes", most: int = 10) -> None:
    """Have the ticks of x at whole numbers, with at most so many intervals between them, and two at least."""
    from matplotlib.ticker import MaxNLocator

    low, high = axis.get_xlim()
    if high - low < 1:
        axis.set_xlim(low - 1, high + 1)
    axis.xaxis.set_major_locator(MaxNLocator(nbins=most, integer=True))


@dataclass(frozen=True)
class FigureStyle:
    """Colour and marker of each label, the same in every figure."""

    labels: tuple[str, ...]

    def colour(self, label: str) -> str:
        """Colour of a label; 24 are told apart."""
        lap, place = divmod(self.labels.index(label), len(PALETTE))
        other, share = SHADES[lap % len(SHADES)]
        mixed = ((1 - share) * (own / 255) + share * other for own in bytes.fromhex(PALETTE[place][1:]))
        return "#" + bytes(round(255 * part) for part in mixed).hex()

    def name(self, label: str) -> str:
        """A label as a legend shows it, which leaves out what begins with an underscore."""
        return f" {label}" if label.startswith("_") else label

    def marker(self, label: str) -> str:
        """Marker of a label."""
        return MARKERS[self.labels.index(label) % len(MARKERS)]


def shared_legend(figure: "Figure", axes: "Sequence[Axes]", style: FigureStyle) -> "Figure":
    """The figure, grown by one legend below all panels, in the order of the tables, whichever panel a line is in."""
    handles = {name: handle for axis in axes for handle, name in zip(*axis.get_legend_handles_labels(), strict=True)}
    names = [style.name(label) for label in style.labels]
    order = sorted(handles, key=lambda name: names.index(name) if name in names else len(names))
    columns = legend_columns([len(name) for name in order], figure.get_figwidth())
    figure.set_figheight(figure.get_figheight() + LEGEND_LINE * -(-len(order) // columns))
    figure.legend([handles[name] for name in order], order, loc="outside lower center", ncols=columns)
    return figure


def legend_columns(lengths: Sequence[int], width: float) -> int:
    """The most columns, filled as matplotlib fills them, in which names of these lengths stay within `width` inches."""
    for columns in range(len(lengths), 1, -1):
        rows, longer = divmod(len(lengths), columns)
        starts = [column * rows + min(column, longer) for column in range(columns + 1)]
        widest = [max(lengths[start:end]) for start, end in pairwise(starts)]
        if sum(widest) + KEY_CHARACTERS * columns <= width * CHARACTERS_PER_INCH:
            return columns
    return 1
