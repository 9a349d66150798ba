"""The machine without its GPU: Python, disk, ports, compiler, the hub's token."""

import os
import shutil
import sys
import sysconfig
from pathlib import Path

from flows.doctor.finding import Finding, NothingToLookAt, Unfit, look
from flows.server import MLFLOW_PORT, PREFECT_PORT
from flows.server.ui import check_ports
from tasks.spine.store.settings import Settings
from tasks.spine.tracking.pages import running_servers

OLDEST_PYTHON = (3, 11)
LEAST_FREE_GB = 10.0
"""Room below which a run is likely to end on a full disk: a model of 0.6 billion weights, its checkpoint with AdamW's
moments, and the trained one take about as much (ours)."""


def look_at_host(settings: Settings) -> list[Finding]:
    """Findings that need neither a GPU nor a server."""
    return [
        look("Python", python, "install Python 3.11 and make the environment anew: make clean, make"),
        look("disk", lambda: disk(settings.root), "set MIDTRAIN_HOME to a folder that can be written to"),
        look("ports", lambda: ports(settings), "pass others: midtrain ui --prefect-port P --mlflow-port M"),
        look("compiler", compiler, ""),
        look("hub token", hub_token, "set HF_TOKEN, or run `hf auth login`"),
    ]


def python() -> str:
    """Version of the interpreter."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST_PYTHON:
        raise ValueError(f"{version}, older than {'.'.join(map(str, OLDEST_PYTHON))}")
    return f"{version} ({sys.executable})"


def disk(root: Path) -> str:
    """Room where stages in progress lie."""
    there = next(folder for folder in (root, *root.parents) if folder.is_dir())
    if not os.access(there, os.W_OK):
        raise PermissionError(f"nothing can be written to {there}")
    free = shutil.disk_usage(there).free / 1e9
    if free < LEAST_FREE_GB:
        raise Unfit(
            f"{free:.1f} GB free in {there}, less than {LEAST_FREE_GB:.0f}",
            "make room there (`midtrain gc` lists what nothing needs), or set MIDTRAIN_HOME to another disk",
        )
    return f"{free:.1f} GB free in {there}"


def ports(settings: Settings) -> str:
    """Ports that `midtrain ui` would take."""
    if running := running_servers(settings.root):
        return f"`midtrain ui` runs, at {running['prefect_api'].removesuffix('/api')} and {running['mlflow']}"
    check_ports({"prefect": PREFECT_PORT, "mlflow": MLFLOW_PORT})
    return f"{PREFECT_PORT} and {MLFLOW_PORT} are free for `midtrain ui`"


def compiler() -> str:
    """What Triton and torch.compile need to make kernels."""
    remedy = "install them: apt-get install g++ python3-dev"
    found = {name: shutil.which(name) for name in ("gcc", "g++")}
    if missing := [name for name, path in found.items() if path is None]:
        raise Unfit(f"{' and '.join(missing)} not on PATH", remedy)
    header = Path(sysconfig.get_path("include")) / "Python.h"
    if not header.is_file():
        raise Unfit(f"{header} is not there", remedy)
    return f"{found['g++']}, {header}"


def hub_token() -> str:
    """Whether there is one; it is shown to nobody."""
    from huggingface_hub import get_token

    if get_token() is None:
        raise NothingToLookAt("none; gated models need one: set HF_TOKEN, or run `hf auth login`")
    return "present"
