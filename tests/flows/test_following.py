import io
import logging

import prefect  # noqa: F401 - sets up the handlers of its log
import pytest
from rich.console import Console

from flows.progress.terminal import followed
from tasks.spine.tracking.course import Course

LINE = {"total": 40, "values": {"reward": 0.875, "completion_tokens": 23.1}}


def shown(course: Course, console: Console, verbose: bool = False) -> str:
    """What a console shows of a stage that is half done, and of two lines of the log."""
    with followed(course, console, verbose):
        step = course.begin("a" * 64, "rl", "RL from mid-trained")
        for done in (0, 20):
            course.advance(step, {"done": done, **LINE})
        logging.getLogger("prefect.flow_runs").info("of interest to nobody")
        logging.getLogger("tasks.anything").warning("tracking is off")
    return console.file.getvalue()


def test_a_pipe_gets_short_lines_and_warnings() -> None:
    text = shown(Course(16), Console(file=io.StringIO(), width=120))
    assert text.splitlines()[0] == "[1/16] rl RL from mid-trained begins"
    assert "tracking is off" in text
    assert "nobody" not in text
    assert max(map(len, text.splitlines())) <= 120


def test_a_terminal_of_80_columns_gets_one_live_view_with_count_and_key_number() -> None:
    text = shown(Course(16), Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None))
    assert "[1/16] rl RL from mid-trained" in text
    assert "20/40" in text
    assert "reward 0.875" in text
    assert "begins" not in text
    assert "tracking is off" in text


def test_verbose_leaves_the_log_to_prefect(capfd: pytest.CaptureFixture[str]) -> None:
    assert shown(Course(16), Console(file=io.StringIO(), width=80), verbose=True) == ""
