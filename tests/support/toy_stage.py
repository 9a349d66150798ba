"""A stage that writes one text, and a watcher that remembers what it was told."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tasks.config import Frozen
from tasks.spine.stage.call import Stage, StageCall
from tasks.spine.stage.stage import Build, Outcome, ensure
from tasks.spine.store.manifest import Manifest
from tasks.spine.store.runtime import Runtime
from tasks.spine.store.settings import Settings

TOY = Stage("toy", version=1, kind="samples")


class ToyConfig(Frozen):
    """What is written, and how often."""

    text: str = "hello"
    size: int = 1


@dataclass
class Seen:
    """A watcher that keeps what it was told."""

    lines: list[dict[str, Any]] = field(default_factory=list)
    ends: list[Manifest | None] = field(default_factory=list)

    def started(self, build: Build) -> str | None:
        return f"run-of-{build.stage.name}"

    def progress(self, line: dict[str, Any]) -> None:
        self.lines.append(line)

    def metrics(self, line: dict[str, Any]) -> None:
        self.lines.append(line)

    def finished(self, manifest: Manifest | None) -> None:
        self.ends.append(manifest)


def write(build: Build, config: ToyConfig) -> None:
    """The usual body."""
    (build.out / "text.txt").write_text(config.text * config.size)
    build.record(rows={"text": 1}, ledger={"in": 1, "out": 1})
    build.record(rows={"more": 2}, summary={"curve": [1]})


def toy(
    settings: Settings, body: Callable[[Build, ToyConfig], None], config: ToyConfig | None = None, **options: Any
) -> Outcome:
    """Find the artifact or build it with `body`."""
    options.setdefault("watcher", Seen())
    parents, force = options.pop("parents", {}), options.pop("force", False)
    runtime = options.pop("runtime", Runtime())
    return ensure(StageCall(TOY, body, config or ToyConfig(), runtime, parents, force), settings=settings, **options)
