"""Work of one run at the same time, in threads that end with it: arms, shards, workers of one stage."""

import contextvars
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from tasks.spine.stage.context import run_context, run_context_with

T = TypeVar("T")
R = TypeVar("R")


def in_threads(run: Callable[[T], R], items: Sequence[T], at_once: int) -> list[R]:
    """What `run` returns for every item, in order; `at_once` of them at the same time.

    If one fails, the others are finished before its error is raised. A signal ends them all.
    """
    # Signals reach the main thread alone, which leaves the innermost block first; a thread has been given its event.
    event = run_context().stop or threading.Event()
    with run_context_with(stop=event), ThreadPoolExecutor(at_once) as pool, told_to_end(event.set):
        futures = [pool.submit(contextvars.copy_context().run, run, item) for item in items]
        return [future.result() for future in futures]


class ProgressOfAll:
    """Progress lines of several workers as those of one: counts and rates add up, other values are means."""

    def __init__(self, told: Callable[[dict[str, Any]], None]) -> None:
        self._told, self._lock = told, threading.Lock()
        self._last: dict[int, dict[str, Any]] = {}

    def of(self, number: int) -> Callable[[dict[str, Any]], None]:
        """Takes the lines of one worker."""

        def tell(line: dict[str, Any]) -> None:
            with self._lock:
                self._last[number] = line
                self._told(self._sum(line["unit"]))

        return tell

    def _sum(self, unit: str) -> dict[str, Any]:
        lines = self._last.values()
        values: dict[str, float] = {}
        for name in {name: None for line in lines for name in line["values"]}:
            found = [line["values"][name] for line in lines if name in line["values"]]
            values[name] = sum(found) / (1 if name.endswith("_per_s") else len(found))
        counts = {name: sum(line[name] for line in lines) for name in ("done", "total")}
        return {**counts, "unit": unit, "values": values}


@contextmanager
def told_to_end(then: Callable[[], Any]) -> Iterator[None]:
    """Call `then` when the block ends by a signal: Ctrl-C, SIGTERM, or the main thread's."""
    try:
        yield
    except Exception:
        raise
    except BaseException:
        then()
        raise
