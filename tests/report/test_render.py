"""Renderers: what users and models write is shown as it is, wherever it is shown."""

import re
from pathlib import Path

import pytest

from flows.cli.gate import markdown
from tasks.report.blocks import Column, Judgement, Name, Paragraph, Table, estimate, joined
from tasks.report.render.markdown import document
from tasks.report.rows import Metric
from tasks.report.sections.bars import heuristic_bars
from tasks.report.sections.differences import difference_tables
from tasks.report.sections.order import build, tables_of
from tasks.report.sections.scores import scores
from tasks.report.summary import ReportSummary
from tasks.report.training_rows import HeuristicRow
from tasks.report.write import write_report
from tasks.text import in_markdown, printable
from tests.support.report_pages import Page, shown
from tests.support.report_worlds import World

NASTY = "a|b [bold red]x[/] [/INST] <b>*y*</b> $\\frac{$ $z_1$ &amp; :smile:"
CODES = "\x1b[2J\x00\ud83d\u202e"
"""What clears a terminal, is no XML, is half a character, and turns the rest of a line round."""


def nasty(world: World) -> tuple[list[str], dict[str, object]]:
    """Changes of a configuration that give every line of the tables a name full of markup."""
    entries = [entry.model_copy(update={"label": f"_{entry.label} {NASTY}{CODES}"}) for entry in world.entries]
    labels = list(dict.fromkeys(entry.label for entry in entries))
    return list(map(printable, labels)), {
        "entries": tuple(entries),
        "comparisons": ((labels[0], labels[1]),),
        "title": f"# {NASTY}{CODES}",
    }


@pytest.fixture(scope="module")
def written(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path, ReportSummary]:
    labels, changes = nasty(world)
    out = tmp_path_factory.mktemp("nasty")
    return labels, out, write_report(world.store, world.config(**changes), world.parents, out)


def test_a_terminal_shows_names_as_they_are(written: tuple[list[str], Path, ReportSummary]) -> None:
    labels, _, summary = written
    text = shown(tables_of(summary), width=400)
    assert all(text.count(label) >= 2 for label in labels)
    assert f"{labels[1]} - {labels[0]}, on the same questions" in " ".join(text.split())


def test_a_page_shows_names_as_they_are(written: tuple[list[str], Path, ReportSummary]) -> None:
    _, out, _ = written
    text = (out / "report.html").read_text()
    assert Page(text).open == []
    assert "<b>*y*" not in text
    as_text = "$z_1$ &amp;amp; :smile:"
    assert text.count(as_text) > 20
    figures = re.findall(r"<figure.*?</figure>", re.sub(r"<!--.*?-->", "", text), re.DOTALL)
    assert sum(as_text in figure for figure in figures) == len(figures) - 1, "all but the one on heuristics"


def test_markdown_shows_names_as_they_are(written: tuple[list[str], Path, ReportSummary]) -> None:
    labels, out, summary = written
    text = (out / "summary.md").read_text()
    tables = [part.splitlines() for part in text.split("\n\n") if part.startswith("|")]
    for lines in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1, lines
    assert all(any(in_markdown(label) in line for lines in tables for line in lines) for label in labels)
    gate = markdown("run [x](y)", summary.comparisons, [], 0.02, False)
    assert "## run [x\\](y)" in gate
    assert f"| {in_markdown(labels[1])} | {in_markdown(labels[0])} |" in gate


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- a", "\\- a"),
        ("12. a", "12\\. a"),
        ("# a", "\\# a"),
        ("[x] a", "\\[x] a"),
        ("p < 0.05 & so on, 2 > 1, a-b [0.1, 0.2]", "p < 0.05 & so on, 2 > 1, a-b [0.1, 0.2]"),
        ("<b> &lt; a|b\nc", "\\<b> \\&lt; a\\|b c"),
        ("`x` *y* [z](w) [z][1] [z]: w", "\\`x\\` \\*y\\* [z\\](w) [z\\][1] [z\\]: w"),
    ],
)
def test_only_what_markdown_would_read_is_in_markdown(text: str, expected: str) -> None:
    assert document("T", [Paragraph(text)]) == f"# T\n\n{expected}\n"


def test_a_table_is_the_same_for_every_reader() -> None:
    metric = Metric(mean=0.5, low=0.25, high=0.75)
    columns = (
        Column("model", lambda row: Name(row)),
        Column("score", lambda row: estimate(metric), number=True),
        Column("missing", lambda row: None, number=True),
        Column("verdict", lambda row: Judgement("regression", "worse", loud=True), title=""),
        Column("page alone", lambda row: "hidden", media=("page",)),
    )
    table = Table.of("Scores", ["A"], columns, group=("scores", "All scores"), constants={"benchmark": "b"})
    assert re.search(r"A +50\.0 \[25\.0, 75\.0\] +- +regression", shown([table]))
    text = document("T", [table, Paragraph("one", "finding"), Paragraph("two", "finding")])
    assert "| A | **50.0** [25.0, 75.0] | - | **regression** |" in text
    assert text.endswith("- one\n- two\n")
    assert "hidden" not in text + shown([table])
    found = joined([table, table])["scores"]
    record = {"benchmark": "b", "model": "A", "score": "50.0 [25.0, 75.0]", "missing": "", "verdict": "regression"}
    assert (found.title, found.records()) == ("All scores", [record, record])


@pytest.mark.parametrize(("highest", "end"), [(0.04, 10), (0.1, 10), (0.12, 20), (0.5, 50), (0.51, 100), (1.0, 100)])
def test_scores_are_drawn_on_an_axis_that_they_fill(
    highest: float, end: int, written: tuple[list[str], Path, ReportSummary]
) -> None:
    summary = written[2]
    low = {"pass@1": Metric(mean=highest / 2, low=0.0, high=highest)}
    rows = [row.model_copy(update={"metrics": row.metrics | low}) for row in summary.models]
    tables = [block for block in scores(summary.model_copy(update={"models": rows})) if isinstance(block, Table)]
    [column] = [column for column in tables[0].columns if column.axis]
    assert column.axis == ("0", "pass@1", str(end))
    drawn = column.cell(rows[0])
    assert (drawn.low, drawn.mean, drawn.high) == pytest.approx(
        (0, 50 * highest / (end / 100), 100 * highest / (end / 100))
    )


def test_every_section_that_is_shown_has_something_to_show(written: tuple[list[str], Path, ReportSummary]) -> None:
    _, out, summary = written
    page = (out / "report.html").read_text()
    assert re.findall(r'<section id="([\w-]+)">', page) == list(build(summary))
    assert len(difference_tables(summary.comparisons)) == 1


@pytest.mark.filterwarnings("error")
def test_long_names_leave_a_figure_its_room() -> None:
    arms = ", ".join(f"arm-{number}" for number in range(16))
    counts = {"samples": 10, "correct": 5, "kept": 4}
    rows = [HeuristicRow(arms=arms, name=name, **counts) for name in ("working backward", "")]
    rows.append(HeuristicRow(arms="polya", name="analogy", **counts))
    assert "arm-15" in heuristic_bars(rows).drawn.narrow
