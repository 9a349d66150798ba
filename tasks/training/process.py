"""Makes a process ready for TRL: what it must not import, must not send, and how many threads it takes."""

import logging
import os
import sys

_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRL_EXPERIMENTAL_SILENCE": "1",
}


def prepare(num_threads: int, *, needs_vllm: bool = False) -> None:
    """Call before the first import of `trl`.

    Models are local folders, so the hub is off, and with it TRL's telemetry. TRL imports vLLM and MLflow wherever
    they are installed; neither is used here (tracking belongs to the parent) and vLLM alone takes half of the start-up
    time, so `None` in `sys.modules` makes them look absent. vLLM stays visible where it generates the rollouts.
    """
    os.environ.update(_ENVIRONMENT)
    for name in ("mlflow",) if needs_vllm else ("mlflow", "vllm"):
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
    logging.getLogger("accelerate").setLevel(logging.ERROR)
    if num_threads:
        import torch

        torch.set_num_threads(num_threads)
