"""The program that writes the model between two others."""

from typing import Any

from tasks.interpolate.config import InterpolateJob
from tasks.spine.stage.imports import offline
from tasks.spine.stage.worker import Reporter, worker_main


def run(job: InterpolateJob, reporter: Reporter) -> dict[str, Any]:
    """Write the weights; returns how many there are."""
    from tasks.interpolate.weights import interpolate

    def progress(done: int, total: int) -> None:
        reporter.progress(done, total, "tensor")

    weights = interpolate(job.base, job.model, job.out, job.alpha, progress=progress)
    return {"tensors": len(weights.tensors), "parameters": weights.parameters}


if __name__ == "__main__":
    offline()
    worker_main(InterpolateJob, run)
