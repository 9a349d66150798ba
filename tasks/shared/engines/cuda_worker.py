"""A child process that asks torch what it finds, and has each GPU multiply and run a kernel that is compiled for it."""

from typing import Any

from tasks.config import Frozen
from tasks.spine.stage.imports import offline
from tasks.spine.stage.worker import Reporter, worker_main

SIZE = 256
"""Rows and columns of what is multiplied."""


class CudaJob(Frozen):
    """Nothing has to be said."""


def run(job: CudaJob, reporter: Reporter) -> dict[str, Any]:
    """Versions, and names of the GPUs that compute; whatever one of them cannot do is raised."""
    import torch

    devices = []
    for number in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        square = torch.ones(SIZE, SIZE, device=f"cuda:{number}", dtype=torch.bfloat16)
        compiled = torch.compile(lambda matrix: torch.relu(matrix @ matrix) * 2)
        if compiled(square)[0, 0].item() != 2 * SIZE:
            raise ArithmeticError(f"GPU {number} multiplies wrongly")
        devices.append(torch.cuda.get_device_name(number))
    return {"torch": torch.__version__, "cuda": torch.version.cuda or "", "devices": devices}


if __name__ == "__main__":
    offline()
    worker_main(CudaJob, run)
