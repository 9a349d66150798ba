"""The tally as a Prefect task."""

from tasks.tally.config import TallyConfig

from tasks.dataset.schema import TRAIN_FILE
from tasks.shared.tables.parquet import count_rows
from tasks.spine.stage.call import Stage
from tasks.spine.stage.stage import Build
from tasks.spine.stage.task import stage_task

TALLY = Stage("tally", version=1, kind="tally", pool="gpu")


@stage_task(TALLY)
def count(build: Build, config: TallyConfig) -> None:
    """Count the rows of the parent `dataset`."""
    (build.out / "rows.txt").write_text(str(count_rows(build.path("dataset") / TRAIN_FILE)))
