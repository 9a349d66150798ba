"""The GPUs: their driver, CUDA as torch finds it, and the memory that is left."""

import subprocess
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from flows.doctor.finding import Finding, NothingToLookAt, Unfit, look
from tasks.shared.engines.cuda_worker import CudaJob
from tasks.spine.stage.gpus import visible_gpus
from tasks.spine.stage.launch import run_worker
from tasks.spine.store.runtime import Runtime

OLDEST_DRIVER = 580
"""First series of drivers for CUDA 13, which the pinned builds of torch and vLLM are made with."""
DEVICES = Path("/sys/bus/pci/devices")
NVIDIA = "0x10de"
"""Number of the maker on the PCI bus."""
QUERY_TIMEOUT_S = 60.0
CUDA_TIMEOUT_S = 180.0


@dataclass(frozen=True)
class Gpu:
    """One GPU as its driver describes it."""

    name: str
    driver: str
    total_mib: float
    free_mib: float


class Gpus:
    """Findings about the GPUs that this process may use."""

    def findings(self) -> list[Finding]:
        """Driver, CUDA, free memory."""
        install = (
            "install NVIDIA's driver, series 580 or newer; in a container, the NVIDIA container toolkit, with "
            "NVIDIA_DRIVER_CAPABILITIES=compute,utility for nvidia-smi"
        )
        driver = look("driver", self._driver, install)
        if driver.verdict == "FAIL":
            return [driver, *(Finding(name, "skipped", "needs the driver") for name in ("CUDA", "GPU memory"))]
        return [
            driver,
            look("CUDA", self._cuda, "install CUDA's builds of torch and vLLM: make clean, make EXTRA=gpu"),
            look("GPU memory", self._memory, "run `nvidia-smi`, and end what holds the memory"),
        ]

    @cached_property
    def listed(self) -> list[Gpu]:
        """The GPUs, none where there is no driver."""
        asked = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total,memory.free"]
        if visible := visible_gpus():
            asked.append(f"--id={','.join(visible)}")
        elif _hardware():
            raise FileNotFoundError("there is a GPU of NVIDIA, and no driver that lists it")
        else:
            return []
        asked.append("--format=csv,noheader,nounits")
        told = subprocess.run(asked, capture_output=True, text=True, timeout=QUERY_TIMEOUT_S)
        if told.returncode != 0:
            raise RuntimeError(f"nvidia-smi: {told.stdout.strip()} {told.stderr.strip()}")
        rows = [line.rsplit(", ", 3) for line in told.stdout.splitlines()]
        return [Gpu(name, driver, float(total), float(free)) for name, driver, total, free in rows]

    @property
    def found(self) -> bool:
        """Whether there is one that a run would take."""
        return bool(visible_gpus())

    def _required(self) -> list[Gpu]:
        if not self.listed:
            raise NothingToLookAt("no GPU of NVIDIA; stages run on the CPU")
        return self.listed

    def _driver(self) -> str:
        gpus = self._required()
        version = gpus[0].driver
        if int(version.partition(".")[0]) < OLDEST_DRIVER:
            raise ValueError(f"{version}, older than {OLDEST_DRIVER}, which CUDA 13 needs")
        return f"{version}, {', '.join(gpu.name for gpu in gpus)}"

    def _cuda(self) -> str:
        """A child asks torch, and computes and compiles something, as this process is not to start CUDA."""
        self._required()
        with tempfile.TemporaryDirectory(prefix="midtrain-doctor-") as folder:
            found = run_worker("tasks.shared.engines.cuda_worker", CudaJob(), Path(folder), timeout_s=CUDA_TIMEOUT_S)
        if not found["devices"]:
            build = f"built for CUDA {found['cuda']}" if found["cuda"] else "a build without CUDA"
            raise ValueError(f"torch {found['torch']}, {build}, finds no device")
        return f"{found['cuda']} with torch {found['torch']}; {', '.join(found['devices'])} compute in bfloat16"

    def _memory(self) -> tuple[str, dict[str, float]]:
        share = Runtime.model_fields["gpu_memory_utilization"].default
        free = {f"GPU {number}": gpu.free_mib / 1024 for number, gpu in enumerate(self._required())}
        for number, gpu in enumerate(self.listed):
            if gpu.free_mib < share * gpu.total_mib:
                raise Unfit(
                    f"{gpu.free_mib / 1024:.1f} of {gpu.total_mib / 1024:.1f} GiB free on GPU {number}, less than "
                    f"runtime.gpu_memory_utilization={share}",
                    "run `nvidia-smi` and end what holds the memory, or lower runtime.gpu_memory_utilization",
                )
        numbers = {f"{name.lower().replace(' ', '_')}_free_gib": round(gib, 1) for name, gib in free.items()}
        return ", ".join(f"{gib:.1f} GiB free on {name}" for name, gib in free.items()), numbers


def _hardware() -> bool:
    """Whether a device of NVIDIA is on the PCI bus, that is to say a display adapter or an accelerator."""
    for vendor in DEVICES.glob("*/vendor"):
        if vendor.read_text().strip() == NVIDIA and (vendor.parent / "class").read_text().startswith("0x03"):
            return True
    return False
