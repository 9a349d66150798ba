"""Which tests share a process, which start first, and which are left to `make test-long`; a plugin of pytest."""

import os
from collections.abc import Generator
from pathlib import Path

import pytest

FIRST = (
    "tests/flows",
    "tests/shared/engines/test_vllm_engine.py",
    "tests/rl",
    "tests/rmt",
    "tests/docker",
    "tests/tiny",
    "tests/shared/training",
    "tests/midtrain",
    "tests/spine/test_s3_faults.py",
)
"""What takes longest, in the order in which processes take it up, so that they end together."""

DEAR = {"small_home", "rmt_home", "deployed", "guesser"}
"""Fixtures of a whole session that take long: the files of a folder that use one go to the same process."""


class LongTests:
    """Counts the tests that a selection left out because they are long, also in the processes of pytest-xdist."""

    def __init__(self) -> None:
        self.left = 0

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        self.left += sum(1 for item in items if item.get_closest_marker("long"))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if (output := getattr(session.config, "workeroutput", None)) is not None:
            output["long_tests_left"] = self.left

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object, error: object) -> None:
        # Every process of pytest-xdist collects all tests, so that each counts the same ones.
        self.left = getattr(node, "workeroutput", {}).get("long_tests_left", self.left)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.left:
            terminalreporter.write_sep("-", f"{self.left} long tests were left out: make test-long")

    def pytest_report_collectionfinish(self, config: pytest.Config, items: list[pytest.Item]) -> list[str]:
        """Where long tests were asked for, each with its reason."""
        if config.option.markexpr != "long":
            return []
        return [f"{item.nodeid}: {item.get_closest_marker('long').kwargs['reason']}" for item in items]


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(LongTests())


@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makeitem(collector: pytest.Collector) -> Generator[None, object, object]:
    """Refuse a long test without a reason."""
    made = yield
    for item in made if isinstance(made, list) else [made]:
        marker = item.get_closest_marker("long") if isinstance(item, pytest.Function) else None
        if marker and not marker.kwargs.get("reason"):
            raise collector.CollectError(f'{item.name} is long for no reason: write @pytest.mark.long(reason="...")')
    return made


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Group and order the tests for several processes."""
    if os.environ.get("PYTEST_XDIST_WORKER"):
        groups = _groups(items)
        for item in items:
            item.add_marker(pytest.mark.xdist_group(groups[item.path]))
        items.sort(key=lambda item: _turn(item.nodeid))


def _groups(items: list[pytest.Item]) -> dict[Path, str]:
    """Name of the group of each file: its own, or that of a dear fixture which one of its tests uses."""
    groups = {item.path: item.nodeid.partition("::")[0] for item in items}
    for item in items:
        for fixture in sorted(DEAR.intersection(getattr(item, "fixturenames", ()))):
            groups[item.path] = f"{item.path.parent.name}-{fixture}"
    return groups


def _turn(name: str) -> int:
    return next((place for place, start in enumerate(FIRST) if name.startswith(start)), len(FIRST))
