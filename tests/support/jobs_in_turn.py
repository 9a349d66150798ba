"""Several jobs of one worker, one after another in the same processes, whose start is what takes long."""

import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import BaseModel

from tasks.shared.training.config import TrainJob
from tasks.spine.stage.imports import offline
from tasks.spine.stage.launch import run_worker
from tasks.spine.stage.worker import Reporter, is_main_process, worker_main, write_json


class Jobs(BaseModel):
    """The input: a worker's module, and its jobs."""

    worker: str
    jobs: list[dict[str, Any]]


def run_in_turn(
    worker: str, jobs: Sequence[TrainJob], work: Path, prefix: Sequence[str], program: str = __name__
) -> None:
    """Run the jobs in one worker process, or as many as `prefix` starts; the first error ends them.

    A `program` of another name changes the worker and then calls `main`.
    """
    asked = Jobs(worker=worker, jobs=[job.model_dump(mode="json") for job in jobs])
    run_worker(program, asked, work, timeout_s=900, prefix=prefix)


def result(job: TrainJob) -> dict[str, Any]:
    """What a job returned, also where a later one failed."""
    return json.loads((job.out.parent / "result.json").read_text())


def main() -> None:
    """What `worker_main` is for one job."""
    worker_main(Jobs, _run_all)


def _run_all(asked: Jobs, reporter: Reporter) -> dict[str, Any]:
    run = import_module(asked.worker).run
    for given in asked.jobs:
        job = get_type_hints(run)["job"].model_validate(given)
        returned = run(job, reporter)
        if is_main_process():
            write_json(job.out.parent / "result.json", returned)
    return {}


if __name__ == "__main__":
    offline()
    main()
