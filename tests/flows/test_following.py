import io
import logging
from collections.abc import Iterator

import pytest
from prefect.logging.handlers import PrefectConsoleHandler
from rich.console import Console

from flows.progress.terminal import followed
from tasks.spine.tracking.course import Course

LINE = {"total": 40, "unit": "steps", "values": {"reward": 0.875, "completion_tokens": 23.1}}


@pytest.fixture(autouse=True)
def console_handler() -> Iterator[None]:
    """What Prefect puts on the root of the log in a process that has no handlers, as pytest's has."""
    handler = PrefectConsoleHandler()
    logging.getLogger().addHandler(handler)
    yield
    logging.getLogger().removeHandler(handler)


def shown(course: Course, console: Console, verbose: bool = False) -> str:
    """What a console shows of a stage that is half done, and of two lines of the log."""
    log = logging.getLogger("any.library")
    log.setLevel(logging.INFO)
    with followed(course, console, verbose):
        step = course.begin("a" * 64, "rl", "RL from mid-trained")
        for done in (0, 20):
            course.advance(step, {"done": done, **LINE})
        log.warning("tracking is off")
        log.info("of interest to nobody")
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


def test_verbose_leaves_the_log_to_prefect() -> None:
    assert shown(Course(16), Console(file=io.StringIO(), width=80), verbose=True) == ""
