"""What a person sees of a run while it goes on: one live view on a terminal, lines of text in a pipe or a file."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from tasks.spine.tracking.course import Course, StageProgress

LINE_EVERY_S = 10.0
"""Between two lines about the progress of one stage."""
REFRESHES_PER_S = 4
BAR_CHARS = 10
"""So that a line of 80 has room for what stands beside the bar."""


@contextmanager
def followed(course: Course, console: Console, verbose: bool) -> Iterator[None]:
    """Within, the stages of the run are shown, and of the log what is a warning or worse.

    Args:
        verbose: show Prefect's own log lines instead, whole.
    """
    if verbose:
        yield
        return
    with _warnings_on(console):
        if not console.is_terminal:
            course.followers.append(Lines(console))
            yield
            return
        count, left = TextColumn("{task.fields[count]}"), TimeRemainingColumn(compact=True)
        columns = [TextColumn("{task.description}"), BarColumn(BAR_CHARS), count, left, _Numbers()]
        with Progress(*columns, console=console, transient=True, refresh_per_second=REFRESHES_PER_S) as progress:
            course.followers.append(View(progress))
            yield


@contextmanager
def _warnings_on(console: Console) -> Iterator[None]:
    """Have Prefect's handlers write to this console, above a live view, and let pass only what is worth a warning."""
    from prefect.logging.handlers import PrefectConsoleHandler

    found = [handler for handler in logging.getLogger().handlers if isinstance(handler, PrefectConsoleHandler)]
    former = [(handler, handler.level, handler.console) for handler in found]
    for handler in found:
        handler.setLevel(logging.WARNING)
        handler.console = console
    try:
        yield
    finally:
        for handler, level, own in former:
            handler.setLevel(level)
            handler.console = own


@dataclass
class Lines:
    """One short line for each event."""

    console: Console
    _said_at: dict[int, float] = field(default_factory=dict)
    """When each stage, by its number, was last spoken of."""

    def began(self, step: StageProgress) -> None:
        self._say(step)

    def advanced(self, step: StageProgress) -> None:
        if time.monotonic() - self._said_at.get(step.number, 0.0) >= LINE_EVERY_S:
            self._say(step)

    def ended(self, step: StageProgress) -> None:
        self._say(step)

    def _say(self, step: StageProgress) -> None:
        self._said_at[step.number] = time.monotonic()
        self.console.print(step.line, soft_wrap=True)


@dataclass
class View:
    """A bar for each stage that is being built: one, or several where arms run at the same time."""

    progress: Progress
    _tasks: dict[int, TaskID] = field(default_factory=dict)

    def began(self, step: StageProgress) -> None:
        # A stage that failed and is tried again has its bar.
        if step.number not in self._tasks:
            self._tasks[step.number] = self.progress.add_task(step.title, total=None, count="", numbers="")

    def advanced(self, step: StageProgress) -> None:
        shown = {"count": f"{step.done}/{step.total}", "numbers": step.key_numbers or step.unit}
        self.progress.update(self._tasks[step.number], completed=step.done, total=step.total, **shown)

    def ended(self, step: StageProgress) -> None:
        task = self._tasks.pop(step.number, None)
        if task is not None:
            self.progress.remove_task(task)


class _Numbers(ProgressColumn):
    """Key numbers, cut where the line ends."""

    def render(self, task: Task) -> Text:
        return Text(task.fields["numbers"], overflow="ellipsis", no_wrap=True)
