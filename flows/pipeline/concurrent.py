"""Arms at the same time, in threads of one pipeline run."""

import contextvars
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from prefect.context import FlowRunContext

from tasks.spine.stage.context import run_context, run_context_with
from tasks.spine.store.runtime import Runtime

T = TypeVar("T")
R = TypeVar("R")
RUNS_OF_AN_ITEM = 1_000_000
"""More than any item has task runs of one kind, over all restarts."""
RANGES = "midtrain.ranges"
"""Where a flow run counts the ranges that were taken, beside its numbers of task runs."""


def each(run: Callable[[T], R], items: Sequence[T], runtime: Runtime) -> list[R]:
    """What `run` returns for every item, in order; as many at the same time as `runtime` says.

    If one fails, what the others have begun is finished before its error is raised. A signal ends them all. A plan
    takes them in turn.
    """
    together = len(items) if runtime.dispatch == "deployments" else min(runtime.concurrent_arms, len(items))
    if together < 2 or run_context().visitor is not None:
        return [run(item) for item in items]
    first, event = _take_ranges(len(items)), threading.Event()
    # Signals reach the main thread alone, which leaves the innermost block first.
    with run_context_with(stop=event), ThreadPoolExecutor(together) as pool, told_to_end(event.set):
        futures = [
            pool.submit(contextvars.copy_context().run, _numbered_apart, run, item, index)
            for index, item in enumerate(items, first)
        ]
        return [future.result() for future in futures]


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


def _take_ranges(count: int) -> int:
    """The first of `count` ranges of numbers that no other call of this flow run takes, nor the flow itself (0)."""
    parent = FlowRunContext.get()
    if parent is None:
        return 1
    first = int(parent.task_run_dynamic_keys.get(RANGES, 1))
    parent.task_run_dynamic_keys[RANGES] = first + count
    return first


def _numbered_apart(run: Callable[[T], R], item: T, index: int) -> R:
    """Call `run` where Prefect's numbers of task runs are this item's own.

    Prefect tells the task runs of a flow apart by counting them. Two threads could count to the same number at once,
    and a restarted run could give one item's number to another.
    """
    parent = FlowRunContext.get()
    if parent is None:
        return run(item)
    with parent.model_copy(update={"task_run_dynamic_keys": _Numbers(RUNS_OF_AN_ITEM * index)}):
        return run(item)


class _Numbers(dict[str, Any]):
    """Counters that begin at `first` instead of 0."""

    def __init__(self, first: int) -> None:
        super().__init__()
        self._first = first

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value if key in self else self._first + value)

    def setdefault(self, key: str, default: Any = 0) -> Any:
        if key not in self:
            self[key] = default
        return self[key]
