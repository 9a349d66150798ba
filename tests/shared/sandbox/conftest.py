"""Tests of the sandbox need one; where the machine offers none they are skipped, saying so."""

import json
from collections.abc import Callable, Iterator

import pytest

from tasks.shared.sandbox.available import SandboxUnavailable, confinement
from tasks.shared.sandbox.config import SandboxConfig
from tasks.shared.sandbox.pool import CodePool
from tasks.shared.verification.verdict import Verdict

Judged = Callable[..., Verdict]


@pytest.fixture(scope="session")
def pool() -> Iterator[CodePool]:
    try:
        confinement()
    except SandboxUnavailable as reason:
        pytest.skip(str(reason))
    with CodePool(2, config=SandboxConfig(cpu_s=1, wall_s=20)) as running:
        yield running


@pytest.fixture(scope="session")
def judged(pool: CodePool) -> Judged:
    """The verdict on code whose function `f` is to pass a test."""

    def judge(code: str, test: str = "assert f(3) == 9", on: CodePool = pool) -> Verdict:
        gold = json.dumps({"unit_tests": test, "entry_points": ["f"]})
        return on.verify([(f"```python\n{code}\n```", gold)])[0]

    return judge
