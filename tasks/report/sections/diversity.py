"""How different the solutions are that models were trained on, and how often answers combine styles."""

from tasks.report.blocks import Block, Column, Paragraph, Table
from tasks.report.sections.differences import optional
from tasks.report.summary import ReportSummary

TITLE = "Diversity"
SETS_CAPTION = (
    "On questions drawn from each training set. The Vendi score is the number of different solutions that there are in "
    "effect (arXiv 2210.02410): “Vendi” of a question, beside the mean number of its solutions, and “over all”. "
    "Self-BLEU is the mean BLEU of a solution against the others of its question (arXiv 1802.01886): 1 for copies. "
    "Questions that one heuristic alone solves stand with the heuristics."
)
COMPOSITIONS_CAPTION = (
    "Percentage of the sampled answers in which the opening words of more than one style stand: how often a model "
    "combines styles, before and after training. Of several seeds, their mean."
)


def diversity(summary: ReportSummary) -> list[Block]:
    """Training sets, then the answers of every model."""
    blocks: list[Block] = [Paragraph(TITLE, "title")]
    if summary.diversity:
        blocks += [_sets(summary), Paragraph(SETS_CAPTION, "caption")]
    if summary.compositions:
        blocks += [_compositions(summary), Paragraph(COMPOSITIONS_CAPTION, "caption")]
    return blocks if len(blocks) > 1 else []


def _sets(summary: ReportSummary) -> Table:
    rows = summary.diversity
    seeds = len({row.seed for row in rows}) > 1
    number = "{:.2f}".format
    columns = [
        Column("training set of", lambda row: f"{row.used_by}, seed {row.seed}" if seeds else row.used_by),
        Column("solutions", lambda row: f"{row.solutions:,}", True),
        Column("a question", lambda row: optional(row.solutions_per_question, number), True),
        Column("Vendi", lambda row: optional(row.vendi_per_question, number), True),
        Column("over all", lambda row: number(row.vendi_all), True),
        Column("self-BLEU", lambda row: optional(row.self_bleu, number), True),
    ]
    kernels = ", ".join(dict.fromkeys(row.kernel for row in rows))
    return Table.of(f"Diversity of the training sets, by {kernels}", rows, columns)


def _compositions(summary: ReportSummary) -> Table:
    names = list(dict.fromkeys(name for row in summary.compositions for name in row.shares))
    shares = [Column(name, lambda row, name=name: optional(row.shares.get(name)), True) for name in names]
    columns = [Column("model", lambda row: row.label), *shares]
    return Table.of("Percent of the answers that combine styles", summary.compositions, columns)
