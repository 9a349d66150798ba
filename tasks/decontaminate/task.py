"""The search for contamination as a Prefect task."""

from pathlib import Path

from tasks.decontaminate.config import DecontaminateConfig
from tasks.decontaminate.overlap import leave_out
from tasks.decontaminate.schema import OVERLAPS_FILE
from tasks.questions.schema import SOURCE
from tasks.shared.sources.rejects import REJECTS_FILE
from tasks.shared.tables.parquet import count_rows
from tasks.spine.stage.call import Stage
from tasks.spine.stage.stage import Build
from tasks.spine.stage.task import stage_task

DECONTAMINATE = Stage("decontaminate", version=3, kind="questions")
QUESTIONS = "questions"
ROLE = "questions."
"""Parents of this stage are the `questions` to train on and, for each benchmark, `questions.<name>`."""


@stage_task(DECONTAMINATE)
def leave_out_overlaps(build: Build, config: DecontaminateConfig) -> None:
    """Leave out (or only report) questions of the parent `questions` that its other parents, the benchmarks, ask."""
    folders: dict[str, Path] = {role: build.path(role) for role in build.parents}
    questions = folders.pop(QUESTIONS)
    benchmarks = {role.removeprefix(ROLE): folder for role, folder in folders.items()}
    ledger, shared = leave_out(config, questions, benchmarks, build.out)
    overlaps = build.out / OVERLAPS_FILE
    rows = {
        "questions": ledger["kept"],
        "rejects": count_rows(build.out / REJECTS_FILE),
        "overlaps": count_rows(overlaps) if overlaps.exists() else 0,
    }
    label = build.parent(QUESTIONS).summary.get("label", "")
    build.record(rows=rows, ledger=ledger, summary={"label": label, "overlapping": shared}, sources=[SOURCE])
