"""The search for contamination as a Prefect task."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tasks.decontaminate.config import DecontaminateConfig
from tasks.decontaminate.overlap import TRAINED_QUESTIONS, TRAINED_TEXTS, leave_out
from tasks.decontaminate.schema import OVERLAPS_FILE
from tasks.questions.schema import SOURCE as QUESTION_SOURCE
from tasks.shared.sources.rejects import REJECTS_FILE
from tasks.shared.tables.parquet import count_rows
from tasks.spine.stage.call import Stage
from tasks.spine.stage.stage import Build
from tasks.spine.stage.task import stage_task
from tasks.spine.store.manifest import SourceTable
from tasks.texts.schema import SOURCES

DECONTAMINATE = Stage("decontaminate", version=3, kind="questions")
QUESTIONS, TEXTS, HELD_OUT_TEXTS = "questions", "texts", "held_out_texts"
ROLE = "questions."
"""Parents of this stage are the `questions` to train on, or the `texts` and those that are predicted where these are
others, and, for each benchmark, `questions.<name>`."""


@stage_task(DECONTAMINATE)
def leave_out_overlaps(build: Build, config: DecontaminateConfig) -> None:
    """Leave out (or only report) questions of the parent `questions` that its other parents, the benchmarks, ask."""
    ledger, shared, _ = leave_out(config, TRAINED_QUESTIONS, build.path(QUESTIONS), _benchmarks(build), build.out)
    _record(build, QUESTIONS, {"questions": ledger["kept"]}, ledger, {"overlapping": shared}, [QUESTION_SOURCE])


@stage_task(replace(DECONTAMINATE, kind="texts"))
def leave_out_overlapping_texts(build: Build, config: DecontaminateConfig) -> None:
    """The same of the training documents of the parent `texts`; held-out documents that they share text with are
    counted.
    """
    held_out = HELD_OUT_TEXTS if HELD_OUT_TEXTS in build.parents else TEXTS
    texts, predicted = build.path(TEXTS), build.path(held_out)
    ledger, shared, seen = leave_out(config, TRAINED_TEXTS, texts, _benchmarks(build), build.out, predicted)
    rows = {"train": ledger["kept"], "evaluation": build.parent(TEXTS).rows["evaluation"]}
    _record(build, TEXTS, rows, ledger, {"overlapping": shared, "held_out": asdict(seen)}, SOURCES)


def _benchmarks(build: Build) -> dict[str, Path]:
    return {role.removeprefix(ROLE): build.path(role) for role in build.parents if role.startswith(ROLE)}


def _record(
    build: Build,
    role: str,
    rows: dict[str, int],
    ledger: dict[str, int],
    summary: dict[str, Any],
    sources: Sequence[SourceTable],
) -> None:
    overlaps = build.out / OVERLAPS_FILE
    found = {
        "rejects": count_rows(build.out / REJECTS_FILE),
        "overlaps": count_rows(overlaps) if overlaps.exists() else 0,
    }
    label = build.parent(role).summary.get("label", "")
    build.record(rows={**rows, **found}, ledger=ledger, summary={"label": label, **summary}, sources=sources)
