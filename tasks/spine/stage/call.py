"""A stage and one call of it: what `plan`, `ensure` and the Prefect task take, each with the same key."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from tasks.spine.store.fingerprint import Payload, fingerprint, payload
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.runtime import Runtime

Body = Callable[..., None]
"""Makes a stage's artifact: `body(build, config)` leaves files in `build.out`."""


@dataclass(frozen=True)
class Stage:
    """What a stage says of itself, whatever it is called with."""

    name: str
    version: int
    """Raise it when the code changes what the stage produces from the same inputs."""
    kind: str
    """Folder of the store for what it makes."""
    pool: Literal["cpu", "gpu"] = "cpu"
    """Work pool of the stage's own deployment."""
    trains: bool = False
    """It takes a GPU host's memory to itself: Prefect starts one such stage at a time on a host."""


@dataclass(frozen=True)
class StageCall:
    """One call of a stage."""

    stage: Stage
    body: Body
    config: Any
    """The stage's settings: a frozen pydantic model, all of it part of the key."""
    runtime: Runtime
    """Where and how it runs: never part of the key."""
    parents: Mapping[str, ArtifactRef]
    """Artifacts that it is made from, by role."""
    force: bool = False
    """Build the artifact again even if it is there."""
    label: str = ""
    """What people call what is made; names runs, is never part of the key."""

    @cached_property
    def key(self) -> str:
        """Fingerprint of what the call makes; computed once, so that files which change meanwhile cannot move it."""
        return fingerprint(self.stage.name, self.stage.version, self.config, self.parents)

    @cached_property
    def payload(self) -> Payload:
        """What the fingerprint is computed over."""
        return payload(self.stage.name, self.stage.version, self.config, self.parents)
