"""Sections on benchmarks: what was found, the models' scores, their comparisons, the heuristics."""

from collections.abc import Sequence
from dataclasses import replace

from tasks.report.blocks import PAGE, Block, Column, Name, Paragraph, Strip, Table, estimate
from tasks.report.rows import CLEAN, ModelRow, PredictionRow, asked_of, percent
from tasks.report.sections.bars import heuristic_bars, style_bars
from tasks.report.sections.curves import pass_curves
from tasks.report.sections.differences import compared, optional, tone_of
from tasks.report.summary import ReportSummary
from tasks.shared.figures import FigureStyle

LOST = (
    Column("tokens", lambda row: optional(row.mean_tokens, "{:.0f}".format), True),
    Column("cut", lambda row: optional(row.truncated_share), True),
    Column("unread", lambda row: optional(row.unparsed_share), True),
)
MODELS_CAPTION = (
    "pass@k is the unbiased estimate over all samples of a question (arXiv 2107.03374); pass@1 samples at the "
    "evaluation's temperature, greedy does not. “tokens” is the mean length of a sample, “cut” the percentage that ran "
    "into the token limit, “unread” the percentage of whole ones without a readable answer; both count as wrong."
)
SPREAD_CAPTION = (
    " “seeds ±” is the standard deviation between training seeds; the intervals hold it too, by Student's t for so few."
)
QUESTIONS_CAPTION = (
    "Percentage points. Each question is answered by both models; the interval is a bootstrap over questions, p is a "
    "sign-flip test on the paired differences, “detectable” the smallest true difference that so many questions would "
    "show with 80% power. Of several trainings, all three hold the luck of training too. Where either side is one "
    "training nothing is called higher, as nothing shows that luck. “Holm” is p corrected for the benchmarks that the "
    "pair is compared on in one metric (Holm 1979), and the verdict goes by it; metrics of the same answers are not "
    "corrected for one another."
)
HEURISTICS_CAPTION = (
    "Adherence is the mean score of the correct solutions for following their heuristic, in the unit of the configured "
    "scorer. “by chance” is how many would be right by accident, if all answers hit golds as often as the wrong "
    "ones hit those of other questions. “alone” are questions with a right solution under this heuristic only, summed "
    "over seeds. “cut” is the share of samples that met the token limit before their solution was finished, “unread” "
    "that of whole ones without a readable answer. “go on” is the share of samples that go on behind their answer; "
    "they are cut back or dropped. “arithmetic” is the mean share of a sample's equations that hold when they are "
    "computed again."
)


def findings(summary: ReportSummary) -> list[Block]:
    """The comparisons to read first, besides those that a claim is about, and what to know about them."""
    claimed = [claim.row for claim in summary.claims.claims] if summary.claims else []
    others = [row for row in summary.findings if row not in claimed]
    return [*(Paragraph(row.sentence, "finding", tone=tone_of(row)) for row in others), *remarks(summary)]


def remarks(summary: ReportSummary) -> list[Block]:
    """Notes of the recipe, and warnings."""
    notes = [Paragraph(note, "note") for note in summary.notes]
    return [*notes, *([Paragraph("", "care", "Read with care", items=summary.warnings)] if summary.warnings else [])]


def models(summary: ReportSummary) -> list[Block]:
    """Scores of every model."""
    return [Paragraph("Models", "title"), *scores(summary)]


def scores(summary: ReportSummary) -> list[Block]:
    """A table of each benchmark."""
    blocks: list[Block] = []
    for benchmark in summary.benchmarks:
        rows = [row for row in summary.models if row.benchmark == benchmark]
        about = (
            f"Percent of {rows[0].questions} questions, {rows[0].samples} samples each; {summary.confidence:.0%} "
            f"intervals are over questions{', means over the listed seeds' if most_seeds(rows) > 1 else ''}."
        )
        blocks += [Paragraph(benchmark, "heading"), Paragraph(about, "sub"), _scores(summary, rows), _lost(rows)]
        if len(rows[0].metrics) > len(rows[0].headline):
            columns = [Column("model", lambda row: row.label), *_metrics(rows[0].metrics)]
            blocks.append(Table.of("", rows, columns, media=PAGE, look="plain", fold=Name("All values of k")))
    caption = MODELS_CAPTION + (SPREAD_CAPTION if most_seeds(summary.models) > 1 else "")
    return [*blocks, Paragraph(caption, "caption")]


def most_seeds(rows: Sequence[ModelRow | PredictionRow]) -> int:
    """How many seeds the label with the most has."""
    return max((len(row.seeds) for row in rows), default=0)


def model_column(summary: ReportSummary) -> Column:
    """A model's name with its colour and its seeds."""
    style = FigureStyle(summary.labels)

    def name(row: ModelRow | PredictionRow) -> Name:
        listed = f"seeds {', '.join(map(str, row.seeds))}" if len(row.seeds) > 1 else ""
        return Name(row.label, detail=listed, colour=style.colour(row.label))

    return Column("model", name)


def _metrics(names: Sequence[str]) -> list[Column]:
    return [Column(name, lambda row, name=name: estimate(row.metrics.get(name)), number=True) for name in names]


def _scores(summary: ReportSummary, rows: Sequence[ModelRow]) -> Table:
    first, seeds, style = rows[0], most_seeds(rows), FigureStyle(summary.labels)
    title = f"{first.benchmark}: percent right, {summary.confidence:.0%} intervals over {first.questions} questions"
    title += f" x {first.samples} samples" + (f", mean of {seeds} seeds" if seeds > 1 else "")

    def asked(row: ModelRow) -> str:
        return f"{row.questions} x {row.samples}" + (f", {len(row.seeds)} seeds" if len(row.seeds) > 1 else "")

    # Scores of a few percent are points at the edge of a whole axis.
    widest = 100 * max(row.metrics["pass@1"].high for row in rows)
    reach = next(size for size in (10, 20, 50, 100) if widest <= size or size == 100)

    def strip(row: ModelRow) -> Strip:
        metric = row.metrics["pass@1"]
        low, mean, high = (1e4 / reach * share for share in (metric.low, metric.mean, metric.high))
        return Strip(low, mean, high, style.colour(row.label))

    columns = [
        model_column(summary),
        *_metrics(first.headline),
        *([Column(CLEAN, lambda row: estimate(row.clean), number=True)] if first.clean else []),
        Column("questions x samples", asked, media=("artifact",)),
        Column("strip", strip, media=PAGE, axis=("0", "pass@1", f"{reach}")),
        *(replace(column, media=("page", "artifact")) for column in LOST),
    ]
    group = ("scores", f"Percent right, {summary.confidence:.0%} intervals over questions")
    constants = {"benchmark": first.benchmark}
    return Table.of(title, rows, columns, note=asked_of(rows), group=group, constants=constants)


def _lost(rows: Sequence[ModelRow]) -> Table:
    """What a page shows beside the scores, for which lines of text have no room."""
    title = f"{rows[0].benchmark}: mean tokens, percent cut at the token limit, percent without a readable answer"
    columns = [Column("model", lambda row: row.label), *LOST]
    return Table.of(title, rows, columns, note=asked_of(rows), media=("terminal", "markdown"))


def comparisons(summary: ReportSummary) -> list[Block]:
    """Paired differences on the same questions."""
    blocks = compared(summary.on_questions, "on the same questions", "benchmark")
    title = Paragraph("Comparisons on the same questions", "title")
    return [title, *blocks, Paragraph(QUESTIONS_CAPTION, "caption")] if blocks else []


def curves(summary: ReportSummary) -> list[Block]:
    """pass@k over k."""
    return [Paragraph("Solved within k samples", "title"), pass_curves(summary)]


def heuristics(summary: ReportSummary) -> list[Block]:
    """What became of the solutions under each heuristic."""
    rows, title = summary.heuristics, "Solutions by heuristic"
    if not rows:
        return []

    columns = [
        Column("arm", lambda row: row.arms),
        Column("heuristic", lambda row: row.name or "plain prompt"),
        Column("samples", lambda row: f"{row.samples:,}", True),
        Column("correct", lambda row: f"{row.correct:,}", True),
        Column("rate", lambda row: f"{percent(row.correct_rate)} %", True),
        Column("by chance", lambda row: optional(row.by_chance, "{:,.1f}".format), True),
        Column("kept", lambda row: f"{row.kept:,}", True),
        Column("alone", lambda row: f"{row.solves_alone:,}", True, PAGE),
        Column("cut", lambda row: f"{percent(row.share(row.truncated))} %", True, PAGE),
        Column("unread", lambda row: f"{percent(row.share(row.unparsed))} %", True, PAGE),
        Column("go on", lambda row: f"{percent(row.share(row.goes_on))} %", True, PAGE),
        Column("tokens", lambda row: optional(row.mean_tokens, "{:.0f}".format), True, PAGE),
        Column("arithmetic", lambda row: optional(row.mean_arithmetic, "{:.2f}".format), True, PAGE),
        Column("adherence", lambda row: optional(row.mean_adherence, "{:.3f}".format), True, PAGE),
    ]
    table = Table.of(title, rows, columns if len({row.arms for row in rows}) > 1 else columns[1:])
    return [Paragraph(title, "title"), heuristic_bars(rows), table, Paragraph(HEURISTICS_CAPTION, "caption")]


def styles(summary: ReportSummary) -> list[Block]:
    """How completions begin."""
    return [Paragraph("Styles of the answers", "title"), style_bars(summary.styles)] if summary.styles else []
