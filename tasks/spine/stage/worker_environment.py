"""Environment variables that worker processes start with."""

import os
import sys
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parents[3]
DEFAULTS = {
    # A waiting OpenMP thread that spins starves whatever shares its core: several times slower on a busy machine.
    "OMP_WAIT_POLICY": "PASSIVE",
    # Whether there is a GPU is asked of the driver: asked of CUDA, no engine that is forked later could use it.
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
    # A GPU's number is the driver's, as it is for `nvidia-smi` and vLLM, and not its place by speed.
    "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
    # Compiled when an engine starts, with nvcc, ninja and g++; where one is missing, the engine ends.
    "VLLM_USE_FLASHINFER_SAMPLER": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}
"""What holds unless the environment says otherwise."""


def worker_environment() -> dict[str, str]:
    """This process's environment with the defaults, the project, and the programs of its virtual environment."""
    return {
        **DEFAULTS,
        **os.environ,
        "PATH": _joined(str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)),
        "PYTHONPATH": _joined(str(PROJECT_ROOT), os.environ.get("PYTHONPATH", "")),
        "PYTHONUNBUFFERED": "1",
        "MIDTRAIN_PARENT_PID": str(os.getpid()),
    }


def _joined(*paths: str) -> str:
    return os.pathsep.join(path for path in paths if path)
