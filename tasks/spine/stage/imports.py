"""Makes a process ready for TRL: what it must not import, and must not send."""

import contextlib
import os
import sys
from collections.abc import Iterator

_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRL_EXPERIMENTAL_SILENCE": "1",
}

UNUSED_BY_TRAINERS = ("mlflow", "vllm", "sklearn", "scipy")
"""Packages that TRL and transformers import wherever they find them, and no trainer without vLLM calls: more than half
of a worker's start-up time."""


def offline() -> None:
    """For worker programs, before anything is imported: models are local folders, so the hub is off, telemetry too."""
    os.environ.update(_ENVIRONMENT)


@contextlib.contextmanager
def hide_packages(*names: str) -> Iterator[None]:
    """Within, the named packages look as if they were not installed, unless they are imported already.

    A trainer does not need MLflow, as tracking belongs to the parent, and vLLM only where it makes the rollouts.
    """
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            if name in sys.modules and sys.modules[name] is None:
                del sys.modules[name]
