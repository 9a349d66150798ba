"""Figures of many models: no two look alike, and no name is cut off."""

import io

import matplotlib as mpl
import pytest
from matplotlib import get_data_path
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont

from tasks.shared.figures import PALETTE, FigureStyle, drawing_style, legend_columns, shared_legend

LONG = tuple(f"thresholds 0.25, 0.75, 1.{number:02d}" for number in range(13))


def test_two_dozen_models_have_colours_of_their_own() -> None:
    style = FigureStyle(tuple(map(str, range(24))))
    colours = [style.colour(label) for label in style.labels]
    assert len(set(colours)) == 24
    assert tuple(colours[: len(PALETTE)]) == PALETTE


@pytest.mark.parametrize("labels", [("RPT", "RMT"), LONG, ("a", *LONG[:6], "budget of one of them and 10 others")])
@pytest.mark.parametrize("width", [5.0, 10.3])
def test_a_legend_stays_within_its_figure_and_leaves_the_panel_its_height(
    labels: tuple[str, ...], width: float
) -> None:
    with drawing_style():
        figure = Figure(figsize=(width, 3.2), layout="constrained")
        axis = figure.subplots()
        for label in labels:
            axis.plot([0, 1], [0, 1], label=label)
        shared_legend(figure, [axis], FigureStyle(labels))
        FigureCanvasAgg(figure).draw()
    legend = figure.legends[0].get_window_extent()
    assert legend.x0 >= 0
    assert legend.x1 <= figure.bbox.x1
    assert axis.get_window_extent().height / figure.dpi > 2


def test_short_names_stand_in_one_line() -> None:
    assert legend_columns([3, 3, 7, 12], 10.3) == 4
    assert legend_columns([30], 5.0) == 1


def test_a_figure_is_the_same_bytes_whatever_the_user_set_and_whichever_fonts_there_are() -> None:
    def drawn() -> bytes:
        with drawing_style():
            figure = Figure(figsize=(4, 3), layout="constrained")
            figure.subplots().set(title="Title", xlabel="steps")
            png = io.BytesIO()
            figure.savefig(png, format="png", metadata={"Software": None})
            return png.getvalue()

    plain = drawn()
    with mpl.rc_context({"axes.facecolor": "red", "font.size": 20, "savefig.bbox": "tight", "text.usetex": True}):
        assert drawn() == plain
    with drawing_style():
        assert findfont(FontProperties()).startswith(get_data_path())
