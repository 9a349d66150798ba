"""A home of its own in which stages run bare, without Prefect and MLflow."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tasks.spine.stage.context import run_context_with
from tests.bench.bare import Bare


@contextmanager
def bare_home(home: Path) -> Iterator[None]:
    """Inside the block stages run bare, on one thread, and what they make lies in `home`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIDTRAIN_HOME", str(home))
        patch.setenv("OMP_NUM_THREADS", "1")
        # Entered last: the context takes its settings from the environment at that moment.
        with run_context_with(visitor=Bare()):
            yield
