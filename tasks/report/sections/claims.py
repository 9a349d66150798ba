"""Sections on what is claimed of the models, and what came out: sentences, a table, a figure; the worst news first."""

from itertools import accumulate
from typing import TYPE_CHECKING

from tasks.report.blocks import Block, Column, Figure, Judgement, Paragraph, Table
from tasks.report.rows import ONE_TRAINING, Claim, ClaimSummary
from tasks.report.sections.drawing import figure, lines_of, wrapped
from tasks.report.summary import ReportSummary
from tasks.shared.figures import INK, NARROW, WIDTH, blank_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

TONES = {"holds": "better", "does not hold": "worse", "unclear": "unclear", ONE_TRAINING: "unclear"}
COLOURS = {"holds": "#0072b2", "does not hold": "#d55e00", "unclear": "#7a7a7a", ONE_TRAINING: "#7a7a7a"}
CAPTION = (
    "A claim holds where interval and test agree with its direction, does not hold where they agree on the opposite, "
    "is unclear where these questions or documents cannot tell, and stays open where it rests on one training. Claims "
    "are tested one by one: with many of them, expect one in twenty to look decided by luck."
)
PAPER_CAPTION = " Ours and the paper's numbers come from other models and data: compare directions, not sizes."
LINE_INCHES, GAP_LINES = 0.155, 0.8
"""Height of a line of a claim in the figure, and the gap below a claim in lines."""


def findings(summary: ReportSummary) -> list[Block]:
    """Each claim as a sentence, and all of them on one axis."""
    if not (stated := summary.claims):
        return []
    blocks: list[Block] = []
    if stated.claims:
        blocks.append(Paragraph("What is claimed, and what came out here", "title"))
        blocks.append(Paragraph(stated.headline))
        for claim in stated.in_order:
            lead = f"{claim.status.capitalize()} here:"
            blocks.append(Paragraph(claim.rest, "finding", lead, TONES[claim.status]))
        about_paper = PAPER_CAPTION if any(claim.paper for claim in stated.claims) else ""
        blocks += [Paragraph(CAPTION + about_paper, "caption"), *_forest(summary, stated)]
    if stated.not_run:
        text = "claims are about checkpoints that were not measured, or not compared, here"
        blocks.append(Paragraph(f"{len(stated.not_run)} {text}", "list", items=stated.not_run))
    return blocks


def claims(summary: ReportSummary) -> list[Block]:
    """Every claim as a table for a terminal, which shows no sentences."""
    checked = summary.claims.in_order if summary.claims else []
    columns = [
        Column("claim", lambda claim: claim.text),
        *([Column("paper", lambda claim: claim.paper)] if any(claim.paper for claim in checked) else []),
        Column("here", lambda claim: claim.here),
        Column("status", lambda claim: Judgement(claim.status, TONES[claim.status]), title=""),
    ]
    title = "What is claimed, and what came out here"
    return [Table.of(title, checked, columns, media=("terminal",))] if checked else []


def _forest(summary: ReportSummary, stated: ClaimSummary) -> list[Figure]:
    """The differences that decided, one below the other; none where all claims are of lengths."""
    drawn = [claim for claim in stated.in_order if claim.row]
    caption = f"Points: the claimed better model minus the other one; lines: {summary.confidence:.0%} intervals."
    return [figure("claims", "Claims", caption, lambda narrow: _draw(drawn, narrow))] if drawn else []


def _draw(claims: list[Claim], narrow: bool) -> "Drawing":
    names = wrapped((claim.text for claim in claims), narrow)
    # Each claim has the room of its own lines.
    ends = list(accumulate(lines_of(name) + GAP_LINES for name in names))
    places = [end - (lines_of(name) + GAP_LINES) / 2 for end, name in zip(ends, names, strict=True)]
    drawing = blank_figure(NARROW if narrow else WIDTH, 0.9 + LINE_INCHES * ends[-1])
    axis = drawing.subplots()
    shown: set[str] = set()
    for place, claim in zip(places, claims, strict=True):
        assert claim.row is not None
        low, mean, high = (100 * value for value in (claim.row.low, claim.row.difference, claim.row.high))
        colour = COLOURS[claim.status]
        axis.hlines(place, low, high, color=colour, linewidth=1.6)
        # Open or filled, so that print without colours tells decided from open.
        face = colour if TONES[claim.status] != "unclear" else "white"
        label = None if claim.status in shown else claim.status
        axis.plot(mean, place, "o", color=colour, markerfacecolor=face, markersize=5, linestyle="", label=label)
        shown.add(claim.status)
    axis.axvline(0, color=INK, linewidth=0.8)
    axis.set_yticks(places, names)
    axis.set_ylim(ends[-1], 0)
    axis.set(xlabel="percentage points")
    axis.grid(axis="y", visible=False)
    axis.tick_params(axis="y", length=0)
    drawing.legend(loc="outside lower center", ncols=2 if narrow else 4)
    return drawing
