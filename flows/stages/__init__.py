"""One flow per stage, each named as its stage and deployable alone."""

import importlib
import pkgutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prefect import Flow

    from tasks.spine.store.ref import ArtifactRef


def stage_modules() -> dict[str, str]:
    """Every stage with the module of its flow: all modules of this package and of the folders in it."""
    found = pkgutil.walk_packages(__path__, f"{__name__}.")
    return {module.name.rpartition(".")[2]: module.name for module in found if not module.ispkg}


def stage_names() -> list[str]:
    """Names of all stages."""
    return sorted(stage_modules())


def stage_flow(name: str) -> "Flow[..., ArtifactRef]":
    """The flow of a stage."""
    return getattr(importlib.import_module(stage_modules()[name]), name)
