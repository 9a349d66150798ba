"""The start of a training worker: alone, or as several processes by `accelerate launch`."""

import importlib.util
from pathlib import Path
from typing import Any

from tasks.errors import Permanent
from tasks.spine.store.runtime import Runtime
from tasks.yaml_text import read_yaml

AGENT = "tasks.shared.training.accelerate_agent"
SHIPPED = Path(__file__).parent / "accelerate_configs"
"""One configuration of `accelerate launch` for each `runtime.distribution`."""


def launcher(runtime: Runtime) -> tuple[str, ...]:
    """Arguments between the interpreter and `-m` of a worker that trains; none for a single process.

    Raises:
        Permanent: there is no such configuration, or it needs a package that is not installed.
    """
    if runtime.num_processes == 1 and not runtime.accelerate_config:
        return ()
    path = Path(runtime.accelerate_config or SHIPPED / f"{runtime.distribution}.yaml").resolve()
    config = _read(path)
    if config["distributed_type"] == "DEEPSPEED" and importlib.util.find_spec("deepspeed") is None:
        raise Permanent(
            f"{_source(runtime)} needs DeepSpeed, which is not installed here; run `pip install deepspeed` in the "
            "environment of the workers, or set runtime.distribution=fsdp2, which needs no further package"
        )
    arguments = ["-m", AGENT, "--config_file", str(path)]
    if runtime.num_processes > 1 or "num_processes" not in config:
        arguments += ["--num_processes", str(runtime.num_processes)]
    if config.get("num_machines", 1) == 1 and "main_process_port" not in config:
        # Any free port, so that two trainings on one machine do not meet.
        arguments += ["--main_process_port", "0"]
    return tuple(arguments)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise Permanent(f"runtime.accelerate_config={path} does not exist; give a file that `accelerate config` writes")
    try:
        config = read_yaml(path)
    except ValueError as error:
        raise Permanent(f"runtime.accelerate_config={error}") from error
    if not isinstance(config, dict) or "distributed_type" not in config:
        raise Permanent(f"runtime.accelerate_config={path} has no distributed_type; `accelerate config` writes one")
    return config


def _source(runtime: Runtime) -> str:
    if runtime.accelerate_config:
        return f"runtime.accelerate_config={runtime.accelerate_config}"
    return f"runtime.distribution={runtime.distribution}"
