"""How far a pipeline run is: its stages in the order in which they begin, and who is told of each."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tasks.spine.tracking.journal import StageRecord
from tasks.spine.tracking.terms import NAME_CHARS

KEY_NUMBERS = 2
"""Numbers that are shown beside a stage's progress: the first of those that its worker reports."""


@dataclass
class StageProgress:
    """One stage of a run, on its way or behind it."""

    number: int
    of: int
    """Stages of the run; 0 where nobody knows."""
    stage: str
    label: str = ""
    began_at: float = field(default_factory=time.monotonic)
    done: int = 0
    total: int = 0
    """What the worker that speaks now has to do; 0 before any has spoken."""
    unit: str = ""
    """What is counted, such as `samples`."""
    numbers: Mapping[str, float] = field(default_factory=dict)
    record: StageRecord | None = None
    """What the stage came to, once it has."""
    _from: tuple[int, float] = (0, 0.0)
    """Count and time of the worker's first line, which rates are measured from."""

    @property
    def title(self) -> str:
        """Number, stage and label: `[7/17] rl RL from base`."""
        place = f"{self.number}/{self.of}" if self.of else str(self.number)
        return f"[{place}] {self.stage}" + (f" {self.label}" if self.label not in ("", self.stage) else "")

    @property
    def share(self) -> float:
        """How much of the stage's present work is done, 0 to 1."""
        return self.done / self.total if self.total else 0.0

    @property
    def left_s(self) -> float | None:
        """Seconds to the end of the stage's present work at the rate so far; None before there is a rate."""
        first, since = self._from
        if not first < self.done < self.total:
            return None
        return (time.monotonic() - since) / (self.done - first) * (self.total - self.done)

    @property
    def key_numbers(self) -> str:
        """The numbers that matter most: `reward 0.88, loss 0.1`."""
        return ", ".join(f"{name} {value:.3g}" for name, value in self.numbers.items())

    @property
    def progress(self) -> str:
        """Count, key numbers and time left: `36/40 steps, reward 0.88, loss 0.1, 0:40 left`."""
        left = "" if self.left_s is None else "{}:{:02} left".format(*divmod(round(self.left_s), 60))
        return ", ".join(filter(None, (f"{self.done}/{self.total} {self.unit}", self.key_numbers, left)))

    @property
    def outcome(self) -> str:
        """What the stage came to: `built in 49 s, model/89e4`."""
        assert self.record is not None
        manifest = self.record.manifest
        seconds = f"{manifest.seconds:.0f}" if manifest.seconds >= 10 else f"{manifest.seconds:.1f}"
        how = "from the store" if self.record.hit else f"built in {seconds} s"
        return f"{how}, {manifest.kind}/{manifest.fingerprint[:NAME_CHARS]}"

    @property
    def line(self) -> str:
        """The step as it is now, in one line."""
        if self.record is not None:
            return f"{self.title}: {self.outcome}"
        return f"{self.title} {self.progress}" if self.total else f"{self.title} begins"

    @property
    def reported(self) -> dict[str, Any]:
        """The step as a progress line, for the course of another process."""
        return {"done": self.done, "total": self.total, "unit": self.unit, "values": dict(self.numbers)}

    def advance(self, line: Mapping[str, Any]) -> None:
        """Take a progress line of the stage's worker; a new worker of the same stage counts anew."""
        if line["total"] != self.total or line["done"] < self.done:
            self._from = (line["done"], time.monotonic())
        self.done, self.total, self.unit = line["done"], line["total"], line["unit"]
        self.numbers = dict(list(line["values"].items())[:KEY_NUMBERS])


class Follower(Protocol):
    """Whoever is told how a run fares: a terminal, a log, Prefect's pages. It must never raise."""

    def began(self, step: StageProgress) -> None:
        """A stage is being built."""

    def advanced(self, step: StageProgress) -> None:
        """Its worker made progress."""

    def ended(self, step: StageProgress) -> None:
        """It is built, or was in the store."""


@dataclass
class Course:
    """The stages of one run, each with its number, and those who follow it."""

    total: int = 0
    """Stages that the run passes, each artifact once; 0 where nobody has counted them."""
    followers: list[Follower] = field(default_factory=list)
    _steps: dict[str, StageProgress] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def share(self) -> float:
        """What is behind the run, 0 to 1, each stage counting the same."""
        with self._lock:
            steps = list(self._steps.values())
        return sum(1.0 if step.record else step.share for step in steps) / max(self.total, len(steps), 1)

    def begin(self, key: str, stage: str, label: str) -> StageProgress:
        """A stage begins to be built; `key` is its fingerprint. Of one that has begun already nobody is told again."""
        known = key in self._steps
        step = self._step(key, stage, label)
        if not known:
            self._tell("began", step)
        return step

    def advance(self, step: StageProgress, line: Mapping[str, Any]) -> None:
        """A progress line of the stage's worker: done, total, unit, values."""
        step.advance(line)
        self._tell("advanced", step)

    def end(self, record: StageRecord) -> None:
        """A stage has its artifact; whoever asks for it again is not told twice."""
        step = self._step(record.manifest.fingerprint, record.stage, record.label)
        if step.record is None:
            step.record = record
            self._tell("ended", step)

    def _step(self, key: str, stage: str, label: str) -> StageProgress:
        with self._lock:
            number = len(self._steps) + 1
            of = max(self.total, number) if self.total else 0
            return self._steps.setdefault(key, StageProgress(number, of, stage, label))

    def _tell(self, what: str, step: StageProgress) -> None:
        for follower in self.followers:
            getattr(follower, what)(step)
