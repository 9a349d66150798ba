"""Dockerfiles read into stages, far enough to check what they name and to run their steps elsewhere."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))


@dataclass(frozen=True)
class Step:
    """One instruction, lines joined: its name and the rest."""

    name: str
    text: str


@dataclass
class Stage:
    """One FROM and what follows; `base` is an image, or the name of an earlier stage."""

    name: str
    base: str
    steps: list[Step] = field(default_factory=list)

    def all(self, name: str) -> list[str]:
        """Texts of the steps of this name."""
        return [step.text for step in self.steps if step.name == name]

    def environment(self) -> dict[str, str]:
        """Variables that this stage sets itself."""
        return dict(pair.split("=", 1) for text in self.all("ENV") for pair in shlex.split(text))


def steps(path: Path) -> Iterator[Step]:
    """The instructions of a Dockerfile, without comments."""
    lines = [line for line in path.read_text().splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        name, _, text = line.partition(" ")
        yield Step(name, text.strip())


def stages(path: Path) -> dict[str, Stage]:
    """Stages in order, by name; the arguments before the first FROM are put into the bases."""
    arguments: dict[str, str] = {}
    found: dict[str, Stage] = {}
    stage: Stage | None = None
    for step in steps(path):
        if step.name == "FROM":
            base, _, name = step.text.partition(" AS ")
            base = re.sub(r"\$\{(\w+)\}", lambda match: arguments[match[1]], base)
            stage = found[name or path.stem] = Stage(name or path.stem, base)
        elif stage is None:
            key, _, value = step.text.partition("=")
            arguments[key] = value
        else:
            stage.steps.append(step)
    return found


def last(path: Path) -> Stage:
    """The stage that a build without a target ends with."""
    return list(stages(path).values())[-1]


def lineage(path: Path, name: str) -> list[Stage]:
    """The stage and the stages it was built from, first things first."""
    known = stages(path)
    stage = known[name]
    return [*(lineage(path, stage.base) if stage.base in known else []), stage]


def copied(text: str) -> tuple[str | None, list[str], str]:
    """A COPY: the stage it takes from (None: the build context), sources and destination."""
    words = shlex.split(text)
    options = [word for word in words if word.startswith("--")]
    *sources, destination = [word for word in words if not word.startswith("--")]
    origin = next((option.split("=", 1)[1] for option in options if option.startswith("--from=")), None)
    return origin, sources, destination


def command(stage: Stage) -> list[str]:
    """Words of the stage's CMD."""
    return json.loads(stage.all("CMD")[-1])
