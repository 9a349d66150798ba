import pytest

from tasks.spine.store.manifest import Manifest
from tasks.spine.tracking import course as module
from tasks.spine.tracking.course import Course, StageProgress
from tasks.spine.tracking.journal import StageRecord


class Heard:
    """Keeps the lines that it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def began(self, step: StageProgress) -> None:
        self.lines.append(step.line)

    advanced = ended = began


def record(letter: str, stage: str, label: str, hit: bool = False) -> StageRecord:
    fields = {"kind": "model", "stage": stage, "fingerprint": letter * 64, "digest": "0" * 64, "seconds": 49.2}
    return StageRecord(stage, Manifest.model_construct(**fields), hit, label)


def test_a_run_is_told_in_one_line_for_each_event(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    heard = Heard()
    course = Course(total=3, followers=[heard])
    course.end(record("a", "questions", "questions", hit=True))
    step = course.begin("b" * 64, "rl", "RL from base")
    steps = {"done": 0, "total": 40, "unit": "steps", "values": {}}
    course.advance(step, steps)
    now += 36
    course.advance(step, {**steps, "done": 36, "values": {"reward": 0.875, "loss": 0.1, "step_s": 1.0}})
    assert step.reported == {**steps, "done": 36, "values": {"reward": 0.875, "loss": 0.1}}
    course.end(record("b", "rl", "RL from base"))
    assert heard.lines == [
        "[1/3] questions: from the store, model/aaaaaaaa",
        "[2/3] rl RL from base begins",
        "[2/3] rl RL from base 0/40 steps",
        "[2/3] rl RL from base 36/40 steps, reward 0.875, loss 0.1, 0:04 left",
        "[2/3] rl RL from base: built in 49 s, model/bbbbbbbb",
    ]
    assert course.share == pytest.approx(2 / 3)


def test_an_artifact_that_several_ask_for_is_one_stage_and_told_once() -> None:
    heard = Heard()
    course = Course(followers=[heard])
    for _ in range(2):
        course.end(record("a", "questions", "questions"))
    course.end(record("b", "model", "embedded"))
    assert heard.lines == [
        "[1] questions: built in 49 s, model/aaaaaaaa",
        "[2] model embedded: built in 49 s, model/bbbbbbbb",
    ]


def test_a_second_worker_of_a_stage_has_a_rate_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter((0.0, 20.0, 30.0))
    monkeypatch.setattr(module.time, "monotonic", lambda: next(times))
    step = StageProgress(1, 1, "evaluate", began_at=0.0)
    for done, total in ((0, 10), (10, 10), (0, 100), (10, 100)):
        step.advance({"done": done, "total": total, "unit": "samples", "values": {}})
    assert step.left_s == pytest.approx(90.0)
