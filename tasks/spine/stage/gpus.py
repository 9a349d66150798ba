"""The GPUs that a worker sees: as many as it uses, and those that the fewest other workers of this process see.

A training in one process that saw two would be spread over both by `transformers` (`nn.DataParallel`), which TRL's
trainers refuse; engines of arms that run at the same time would meet on the first.
"""

import logging
import os
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

from tasks.spine.store.runtime import Runtime

log = logging.getLogger(__name__)

VARIABLE = "CUDA_VISIBLE_DEVICES"
LIST_TIMEOUT_S = 30.0
COUNT = """
import ctypes
cuda, count = ctypes.CDLL("libcuda.so.1"), ctypes.c_int()
if cuda.cuInit(0) == cuda.cuDeviceGetCount(ctypes.byref(count)) == 0:
    print(count.value)
"""
"""Asks the driver's library; a program of its own, because CUDA, once begun in a process, is of no use in its forks."""
_lock = threading.Lock()
_workers: Counter[str] = Counter()
"""How many running workers see each GPU."""


@dataclass(frozen=True)
class Part:
    """Every `of`-th piece of some work, from number `index` on: the share of one shard or worker."""

    index: int
    of: int

    def holds(self, number: int) -> bool:
        """Whether the piece of that number is of this part."""
        return number % self.of == self.index


WHOLE = Part(0, 1)


def visible_gpus() -> list[str]:
    """GPUs that this process may use: those that the environment names, else all that the driver lists."""
    named = os.environ.get(VARIABLE)
    if named is None:
        return list(_listed_by_driver())
    return [name for part in named.split(",") if (name := part.strip()) not in ("", "-1")]


@cache
def _listed_by_driver() -> tuple[str, ...]:
    """Numbers of the GPUs by the driver, as torch takes seconds to import; none where there is no driver.

    Its tool may be missing where its library is not: containers get either by `NVIDIA_DRIVER_CAPABILITIES`.
    """
    tool = re.findall(r"^GPU (\d+):", _told_by("nvidia-smi", "--list-gpus"), re.MULTILINE)
    return tuple(tool) or tuple(map(str, range(int(_told_by(sys.executable, "-IS", "-c", COUNT) or 0))))


def _told_by(*command: str) -> str:
    """What a program prints; nothing where it is not there or fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=LIST_TIMEOUT_S, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def workers_at_once(runtime: Runtime, gpus: int = 1) -> int:
    """Most workers of one stage that this machine runs at the same time, each with `gpus` GPUs of its own.

    Without GPUs as many as it has CPUs for, `num_threads` each; one where each takes them all. Arms that run at the
    same time have an equal share.
    """
    if visible := visible_gpus() if runtime.device != "cpu" else []:
        most = len(visible) // gpus
    else:
        most = (os.cpu_count() or 1) // runtime.num_threads if runtime.num_threads else 1
    return max(1, most // runtime.concurrent_arms)


def shards_here(runtime: Runtime, gpus: int = 1) -> int:
    """Parts that this machine makes of a stage's work: `num_shards`, or one for each worker that its GPUs hold."""
    if runtime.num_shards:
        return runtime.num_shards
    return workers_at_once(runtime, gpus) if runtime.device != "cpu" and visible_gpus() else 1


def parts_here(runtime: Runtime, pieces: int) -> list[Part]:
    """Parts of `pieces` pieces of work, one for each worker with a GPU of its own that runs here at the same time.

    Here, also where samples are made over Ray: such work reads what its stage has just made, and leaves its parts
    beside that, on this disk. A shard of samples needs its stage's parents alone, and leaves all it makes in the store.
    """
    if runtime.ray_address and runtime.device != "cpu" and not visible_gpus():
        log.warning(
            "runtime.ray_address=%s spreads samples alone: this work runs on this machine, which has no GPU; start the "
            "run on a machine with GPUs if the cluster has some",
            runtime.ray_address,
        )
    count = max(1, min(shards_here(runtime), workers_at_once(runtime), pieces))
    return [Part(index, count) for index in range(count)]


@contextmanager
def gpus_for_worker(count: int | None) -> Iterator[dict[str, str]]:
    """Within, `count` GPUs are a worker's, or all with None; yields what its environment says about it.

    Where more workers run than there are GPUs, some share one.
    """
    visible = visible_gpus()
    with _lock:
        least_used = sorted(visible, key=_workers.__getitem__)[:count]
        _workers.update(least_used)
    try:
        # In the order in which they were named, so that number 0 stays number 0.
        yield {VARIABLE: ",".join(name for name in visible if name in least_used)} if visible else {}
    finally:
        with _lock:
            _workers.subtract(least_used)
