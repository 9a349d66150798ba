"""Makes a process ready for large frameworks: what it must not import, what it need not do twice, and must not send."""

import contextlib
import functools
import gc
import importlib.metadata
import os
import sys
from collections.abc import Iterator

_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRL_EXPERIMENTAL_SILENCE": "1",
}

UNUSED_BY_TRANSFORMERS = ("sklearn", "scipy", "pandas", "boto3")
"""Packages that transformers imports wherever it finds them, for speculative decoding, and accelerate, for training on
SageMaker: a fifth of a worker's start-up time."""
UNUSED_BY_TRAINERS = ("mlflow", "vllm", "sklearn", "scipy", "boto3")
"""Packages that TRL and what it stands on import wherever they find them, and no trainer without vLLM calls: more than
half of a worker's start-up time. `datasets` cannot do without pandas."""
UNUSED_BY_PREFECT = ("pandas",)
"""Prefect imports it wherever it finds it, to hash tables among the parameters of tasks: here there are none."""


def offline() -> None:
    """For worker programs, before anything is imported: models are local folders, so the hub is off, telemetry too."""
    os.environ.update(_ENVIRONMENT)


@contextlib.contextmanager
def lean_imports(*unused: str) -> Iterator[None]:
    """For the imports of large frameworks: without the packages named, and without work that comes to nothing.

    Garbage is not looked for, neither meanwhile nor later among what was imported: modules are none. transformers and
    TRL each list the files of all installed packages, to tell which package a module is of; here they share one list.
    """
    listed, collects, modules = importlib.metadata.packages_distributions, gc.isenabled(), len(sys.modules)
    importlib.metadata.packages_distributions = functools.cache(listed)
    gc.disable()
    try:
        with hide_packages(*unused):
            yield
    finally:
        importlib.metadata.packages_distributions = listed
        if len(sys.modules) > modules:
            gc.freeze()
        if collects:
            gc.enable()


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
