"""Identity of a release: a base model's weights, through a recipe with its overrides."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from tasks.config import Frozen
from tasks.spine.store.fingerprint import Payload, digest_text, fingerprint, payload
from tasks.spine.store.ref import ArtifactRef

RELEASE = "release"
VERSION = 1
NAME_CHARS = 8
UNASKABLE = r"[/:%\"'\\]"
"""Characters that MLflow's registry refuses in a name, or takes and then cannot be asked for."""


class ReleaseConfig(Frozen):
    """The pipeline that base models of one line go through; models of one line can be compared."""

    recipe: str
    """Name or path of the recipe, as the user gave it."""
    overrides: dict[str, JsonValue] = {}

    def key(self, base: ArtifactRef) -> str:
        """Fingerprint of the release of a base model: exactly one is made for each."""
        return fingerprint(RELEASE, VERSION, self, {"model": base})

    def payload(self, base: ArtifactRef) -> Payload:
        """Fields that `key` is computed over."""
        return payload(RELEASE, VERSION, self, {"model": base})

    @property
    def line(self) -> str:
        """Name of the line in the registry: `midtrain-tiny-cpu`, with a hash where overrides make it another one."""
        stem = self.recipe.rpartition("/")[2].removesuffix(".yaml").removesuffix(".yml")
        suffix = f"-{digest_text(self.model_dump_json())[:NAME_CHARS]}" if self.overrides else ""
        return re.sub(UNASKABLE, "-", f"midtrain-{stem}{suffix}")


def is_of(config: ReleaseConfig, release_payload: Mapping[str, Any]) -> bool:
    """Whether a release's payload is of the same line."""
    return release_payload.get("config") == config.model_dump(mode="json")
