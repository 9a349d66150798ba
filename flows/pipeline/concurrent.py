"""Items of a flow at the same time, such as arms or shards, in threads of one pipeline run."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from prefect.context import FlowRunContext

from tasks.spine.stage.context import run_context
from tasks.spine.stage.threads import in_threads

T = TypeVar("T")
R = TypeVar("R")
RUNS_OF_AN_ITEM = 1_000_000
"""More than any item has task runs of one kind, over all restarts."""
RANGES = "midtrain.ranges"
"""Where a flow run counts the ranges that were taken, beside its numbers of task runs."""


def each(run: Callable[[T], R], items: Sequence[T], at_once: int) -> list[R]:
    """What `run` returns for every item, in order; `at_once` of them at the same time.

    If one fails, the others are finished before its error is raised. A signal ends them all. A plan takes them in turn.
    """
    at_once = min(at_once, len(items))
    if at_once < 2 or run_context().visitor is not None:
        return [run(item) for item in items]
    numbered = list(enumerate(items, _take_ranges(len(items))))
    return in_threads(lambda pair: _numbered_apart(run, pair[1], pair[0]), numbered, at_once)


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
