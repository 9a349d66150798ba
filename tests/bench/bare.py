"""The pipeline without Prefect and MLflow: the same stage bodies and workers, called one after another."""

from dataclasses import dataclass
from typing import Any

from tasks.spine.stage.call import StageCall
from tasks.spine.stage.stage import Build, ensure
from tasks.spine.store.manifest import Manifest
from tasks.spine.store.ref import ArtifactRef


class Silent:
    """A watcher that shows nothing."""

    def started(self, build: Build) -> str | None:
        return None

    def progress(self, line: dict[str, Any]) -> None:
        pass

    def metrics(self, line: dict[str, Any]) -> None:
        pass

    def finished(self, manifest: Manifest | None) -> None:
        pass


@dataclass
class Bare:
    """Runs stage calls at once, in this process."""

    def visit(self, call: StageCall) -> ArtifactRef:
        return ensure(call, watcher=Silent()).manifest.ref
