"""Completions to read: some under each heuristic, one question through all models, rollouts early and late."""

from collections.abc import Sequence

from tasks.report.blocks import Block, Excerpt, Excerpts, Judgement, Name, Paragraph
from tasks.report.completions import ExampleSet, ReadCompletion
from tasks.report.numbers.examples import HEURISTIC, QUESTION, ROLLOUTS
from tasks.report.summary import ReportSummary

TITLES = {
    HEURISTIC: (
        "Solutions under each heuristic",
        "One that is right, one that is wrong and one that was cut at the token limit, where there are such.",
    ),
    QUESTION: (
        "One question through all models",
        "The first one whose answers differ between the models, if there is one; the greedy answer, or else the first "
        "sample.",
    ),
    ROLLOUTS: (
        "Rollouts in training",
        "Of the first and of the last batch that some were kept of, one with the highest and one with the lowest "
        "reward: what the reward pays for. Gold is the right answer, or the true next token.",
    ),
}
ABOUT = (
    "Drawn by a digest of their names, and by nobody's hand. Long ones have their middle left out; "
    "“midtrain samples” with a name from below shows them whole, and others."
)
TONES = {"correct": "better", "right": "better", "wrong": "worse"}
CHARS = 1600
"""Characters of a completion that a page shows; of a question, half as many. Ours."""


def examples(summary: ReportSummary) -> list[Block]:
    """Excerpts of each kind, under a line that shows them."""
    blocks: list[Block] = []
    for kind, (title, about) in TITLES.items():
        if several := [item for item in summary.examples if item.about == kind]:
            blocks += [Paragraph(title, "heading"), Paragraph(about, "sub"), *_folds(several)]
    return [Paragraph("Examples", "title"), Paragraph(ABOUT, "sub"), *blocks] if blocks else []


def _folds(several: Sequence[ExampleSet]) -> list[Excerpts]:
    arms = len({item.used_by for item in several}) > 1
    return [
        Excerpts(
            tuple(map(_excerpt, item.completions)),
            Name(item.name, item.used_by if arms else "", after=item.ref),
            open=item is several[0],
        )
        for item in several
    ]


def _excerpt(row: ReadCompletion) -> Excerpt:
    """The facts of a rollout are its step and its reward; a candidate's heuristic stands above it."""
    verdict = (row.verdict or "not judged").replace("_", " ")
    facts = [f"gold {row.gold!r}" if row.step is not None else f"read {row.extracted or 'nothing'}, gold {row.gold}"]
    facts += [f"{row.completion_tokens:,} tokens"]
    facts += [row.fate.replace("_", " ")] if row.fate not in ("", row.verdict) else []
    facts += [f"reward {row.reward:.2f}"] if row.reward is not None else []
    name = f"step {row.step}" if row.step is not None else row.model if row.source else ""
    judged = Judgement(verdict, TONES.get(row.verdict, "unclear"))
    return Excerpt(name, judged, ", ".join(facts), _short(row.question, CHARS // 2), _short(row.completion, CHARS))


def _short(text: str, most: int) -> str:
    """The text without its middle, where it is long: prompts ask at their end, completions answer there."""
    text = text.strip()
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n[ … {len(text) - 2 * half:,} characters … ]\n{text[-half:]}"
