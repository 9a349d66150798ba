"""Arms at the same time: where their stages have runs of their own, and in one process."""

import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from prefect import Task
from prefect._internal.engine import dynamic_key_for_task_run
from prefect.context import FlowRunContext

from flows.pipeline.concurrent import each
from tasks.spine.stage.launch import Stopped, check_stop
from tasks.spine.stage.plan import planning
from tasks.spine.store.settings import Settings
from tasks.spine.store.store import Store
from tests.support.homes import copy_stages
from tests.support.small import BEFORE_TRAINING, SMALL, Run, run

INLINE, SPREAD = 1, 3
"""Items at the same time."""
TASK = Task(lambda: None)


def test_results_keep_the_order_of_the_items() -> None:
    assert each(str, [3, 1, 2], INLINE) == each(str, [3, 1, 2], SPREAD) == ["3", "1", "2"]


def test_spread_items_run_at_the_same_time() -> None:
    barrier = threading.Barrier(3, timeout=60)
    each(lambda _: barrier.wait(), range(3), SPREAD)


def test_inline_items_stop_at_the_first_error() -> None:
    seen: list[int] = []

    def fail(item: int) -> None:
        seen.append(item)
        raise ValueError(item)

    with pytest.raises(ValueError, match="1"):
        each(fail, [1, 2], INLINE)
    assert seen == [1]


def test_what_the_others_began_is_finished_before_an_error_is_raised() -> None:
    finished, failed = [], threading.Event()

    def work(item: int) -> None:
        if item == 0:
            failed.set()
            raise ValueError("the first")
        assert failed.wait(10)
        finished.append(item)

    with pytest.raises(ValueError, match="the first"):
        each(work, range(3), SPREAD)
    assert sorted(finished) == [1, 2]


def test_a_plan_takes_items_in_turn(tmp_path: Path) -> None:
    with planning(Store.open(Settings(home=tmp_path))):
        assert set(each(lambda _: threading.current_thread(), range(3), SPREAD)) == {threading.main_thread()}


def test_no_two_task_runs_of_a_flow_run_get_one_number() -> None:
    """Neither of one call, nor of the next one, nor of what the flow itself does."""
    numbers: list[int | str] = []

    def count(_: int) -> None:
        numbers.append(dynamic_key_for_task_run(FlowRunContext.get(), TASK))
        numbers.append(dynamic_key_for_task_run(FlowRunContext.get(), TASK))

    with FlowRunContext.model_construct(flow_run="a run", task_run_dynamic_keys={}, detached=False):
        for _ in range(2):
            count(0)
            each(count, range(3), SPREAD)
    assert len(numbers) == len(set(numbers)) == 16


@pytest.mark.slow
def test_arms_at_the_same_time_make_the_same_models(finished: Run, small_home: Path, in_new_home: Path) -> None:
    from flows.polya import polya

    copy_stages(small_home, in_new_home, *BEFORE_TRAINING, "midtrain", "evaluate")
    together = run(polya, recipe="tiny-cpu", overrides={**SMALL, "runtime.concurrent_arms": 2})
    assert models(together) == models(finished)
    assert len(models(together)) == 3
    assert Counter(together.built) == {"rl": 2, "report": 1}


def models(made: Run) -> set[tuple[str, str, str]]:
    """What a run trained."""
    return {(name, item.fingerprint, item.digest) for name, item, *_ in made.stages if name in ("midtrain", "rl")}


def test_a_signal_ends_the_other_items_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The main thread is interrupted while it waits; the others see it at their next look."""
    ended: list[int] = []

    def work(item: int) -> None:
        deadline = time.monotonic() + 10
        with pytest.raises(Stopped):
            while time.monotonic() < deadline:
                check_stop()
        ended.append(item)

    def interrupt(self: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("concurrent.futures.Future.result", interrupt)
    with pytest.raises(KeyboardInterrupt):
        each(work, range(2), SPREAD)
    assert sorted(ended) == [0, 1]
