"""Sections on where results came from: pictures of the data, ledger, lineage, settings and versions."""

import json
from dataclasses import replace

from tasks.report.blocks import PAGE, Block, Column, Figure, Name, Paragraph, Sums, Table, Tree
from tasks.report.ledger import Balance, balances
from tasks.report.models import MODEL
from tasks.report.sections.drawing import figure
from tasks.report.summary import Picture, ReportSummary, StageRow

DATA_STAGES = ("texts", "decontaminate", "entropy", "schedule")
"""Stages whose rows a terminal shows of a report on predictions; the page has those of every model and prediction."""


def pictures(summary: ReportSummary) -> list[Block]:
    """Figures that other stages drew."""
    links = {stage.ref: stage.link for stage in summary.stages}

    def shown(picture: Picture) -> Figure:
        fold = Name(picture.title, picture.used_by, picture.ref, links.get(picture.ref, ""))
        first = picture is summary.pictures[0]
        title = f"{picture.title}, {picture.used_by}" if picture.used_by else picture.title
        return replace(figure("", title, "", picture.draw), fold=fold, open=first or not picture.used_by)

    return [Paragraph("Texts and schedules", "title"), *map(shown, summary.pictures)] if summary.pictures else []


def ledger(summary: ReportSummary) -> list[Block]:
    """What went into each stage and what became of it; a terminal shows rows that fell into parts, and no tokens."""
    stages = [stage for stage in summary.stages if stage.ledger]
    if not stages:
        return []

    def in_rows(stage: StageRow) -> list[Balance]:
        return [item for item in balances(stage.ledger) if item.parts and not item.total[0].startswith("tokens_")]

    full = [
        Column("stage", lambda stage: Name(stage.stage, stage.what, stage.ref, stage.link)),
        Column("used by", lambda stage: stage.used_by),
        Column("in, and what became of it", lambda stage: Sums(balances(stage.ledger))),
    ]
    short = [full[0], Column("arm", full[1].cell), Column("counts", lambda stage: Sums(in_rows(stage)))]
    rows = [stage for stage in stages if in_rows(stage)]
    kept = [stage for stage in rows if not summary.predictions or stage.stage in DATA_STAGES]
    about = "What went into each stage and what became of it. A total and its parts add up exactly."
    return [
        Paragraph("Ledger", "title"),
        Paragraph(about, "sub"),
        Table.of("", stages, full, media=PAGE, look="ledger"),
        Table.of("Rows: what went in, what became of it", kept, short, media=("terminal",)),
    ]


def files(summary: ReportSummary) -> list[Block]:
    """Where the models that were measured lie."""
    places = {stage.ref: stage for stage in summary.stages}
    models = {branch.role: parent for branch in summary.lineage for parent in branch.parents if parent.role == MODEL}
    columns = [
        Column("model", lambda item: Name(item[0], detail=item[1].ref, link=item[1].link)),
        Column("files", lambda item: places[item[1].ref].place if item[1].ref in places else None),
    ]
    about = "“midtrain export” with an artifact's name writes the model to a folder of its own, with a card."
    table = Table.of("", models.items(), columns, media=PAGE, look="plain places")
    return [Paragraph("Files of the models", "title"), Paragraph(about, "sub"), table] if models else []


def lineage(summary: ReportSummary) -> list[Block]:
    """Ancestry of everything that was measured."""
    what = "measured checkpoint down to its texts and" if summary.predictions else "evaluation down to its"
    about = f"Every {what} questions. Names lead to settings and files."
    return [Paragraph("Lineage", "title"), Paragraph(about, "sub"), Tree(summary.lineage)]


def settings(summary: ReportSummary) -> list[Block]:
    """Configuration of every stage, and the versions of packages."""
    versions = ", ".join(f"{package} {' / '.join(several)}" for package, several in summary.versions.items())
    tables = [_settings(stage) for stage in summary.stages]
    return [Paragraph("Settings and versions", "title"), *tables, Paragraph(versions, "caption")]


def _settings(stage: StageRow) -> Table:
    commit = stage.git_commit or ""
    said = [f"{stage.seconds:.1f} s", stage.created_at]
    said += [f"commit {commit[:12]}{'+changes' if commit.endswith('+changes') else ''}"] if commit else []
    said += [f"MLflow run {stage.mlflow_run_id}"] if stage.mlflow_run_id else []
    fold = Name(stage.stage, stage.used_by, stage.ref, after=", ".join(said), anchor=stage.link.removeprefix("#"))
    columns = [Column("setting", lambda item: item[0]), Column("value", lambda item: item[1])]
    rows = [("files", stage.place), *((name, json.dumps(value)) for name, value in stage.settings.items())]
    return Table.of("", rows, columns, media=PAGE, look="settings", fold=fold)
