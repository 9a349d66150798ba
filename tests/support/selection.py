"""Which tests share a process, which start first, and which are left to `make test-long`; a plugin of pytest."""

import json
from collections.abc import Generator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

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


class Together:
    """Gives the tests of a group to one process: every file is whole, and files that share a dear fixture are one.

    Only the processes see fixtures; before the tests are dealt out, each leaves the groups in a folder of the parent's.
    """

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix="groups-")

    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput["groups"] = self._folder.name

    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        from xdist.scheduler import LoadScopeScheduling

        folder = Path(self._folder.name)

        class Scheduling(LoadScopeScheduling):
            def _split_scope(self, nodeid: str) -> str:
                file = nodeid.partition("::")[0]
                return _left_groups(folder).get(file, file)

        return Scheduling(config, log) if config.option.dist == "loadscope" else None


@cache
def _left_groups(folder: Path) -> dict[str, str]:
    """What one of the processes left; they all leave the same."""
    return json.loads(next(iter(sorted(folder.iterdir()))).read_text())


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(LongTests())
    if getattr(config.option, "numprocesses", None):
        config.pluginmanager.register(Together())


@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makeitem(collector: pytest.Collector) -> Generator[None, object, object]:
    """Refuse a long test without a reason."""
    made = yield
    for item in made if isinstance(made, list) else [made]:
        marker = item.get_closest_marker("long") if isinstance(item, pytest.Function) else None
        if marker and not marker.kwargs.get("reason"):
            raise collector.CollectError(f'{item.name} is long for no reason: write @pytest.mark.long(reason="...")')
    return made


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In one of several processes: leave the groups for the parent and order the tests."""
    if (place := getattr(config, "workerinput", {})) and "groups" in place:
        groups = _groups(items)
        (Path(place["groups"]) / place["workerid"]).write_text(json.dumps(groups))
        # Groups of several files come before single ones.
        items.sort(key=lambda item: (_turn(item.nodeid), _file(item) == groups[_file(item)]))


def _file(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]


def _groups(items: list[pytest.Item]) -> dict[str, str]:
    """Name of the group of each file: its own, or that of a dear fixture which one of its tests uses."""
    groups = {_file(item): _file(item) for item in items}
    for item in items:
        for fixture in sorted(DEAR.intersection(getattr(item, "fixturenames", ()))):
            groups[_file(item)] = f"{item.path.parent.name}-{fixture}"
    return groups


def _turn(name: str) -> int:
    return next((place for place, start in enumerate(FIRST) if name.startswith(start)), len(FIRST))
