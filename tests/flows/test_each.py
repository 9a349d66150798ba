"""Arms at the same time, where their stages have runs of their own."""

import threading

import pytest

from flows.dispatch import Stopped, each
from tasks.recipe.loading import load
from tasks.recipe.polya import PolyaRecipe

INLINE = load(PolyaRecipe, "tiny-cpu")
SPREAD = load(PolyaRecipe, "tiny-cpu", {"runtime.dispatch": "deployments"})


def test_results_keep_the_order_of_the_items() -> None:
    assert each(str, [3, 1, 2], INLINE) == each(str, [3, 1, 2], SPREAD) == ["3", "1", "2"]


def test_spread_items_run_at_the_same_time() -> None:
    barrier = threading.Barrier(3, timeout=10)
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


def test_a_signal_ends_the_other_items_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The main thread is interrupted while it waits; the others see it at their next look."""
    from flows import dispatch

    ended: list[int] = []

    def work(item: int) -> None:
        stop = dispatch._stop.get()
        assert stop is not None
        assert stop.wait(10)
        ended.append(item)
        raise Stopped

    def interrupt(self: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("concurrent.futures.Future.result", interrupt)
    with pytest.raises(KeyboardInterrupt):
        each(work, range(2), SPREAD)
    assert sorted(ended) == [0, 1]
