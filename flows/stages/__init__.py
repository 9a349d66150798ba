"""One flow per stage, each named as its stage and deployable alone."""

import importlib
import pkgutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prefect import Flow

    from tasks.spine.store.ref import ArtifactRef


def stage_names() -> list[str]:
    """Names of all stages: the modules of this package."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def stage_flow(name: str) -> "Flow[..., ArtifactRef]":
    """The flow of a stage."""
    return getattr(importlib.import_module(f"{__name__}.{name}"), name)
