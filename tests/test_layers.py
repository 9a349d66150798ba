"""The layers: workers know nothing of Prefect and MLflow, and configuration and logic nothing of torch."""

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PARENT_SIDE = {"task.py", "tracker.py", "training_slot.py", "progress.py"}
"""Modules that belong to the flows' side and may import Prefect or MLflow."""
ORCHESTRATION = ("prefect", "mlflow")
FRAMEWORKS = ("torch", "transformers", "trl", "vllm", "datasets", *ORCHESTRATION)

CHECK = """
import importlib, sys

# A None in sys.modules makes an import fail and `find_spec` say "not installed", as libraries ask.
for name in sys.argv[1].split(","):
    sys.modules[name] = None
failed = 0
for name in sys.argv[2:]:
    try:
        importlib.import_module(name)
    except ImportError as error:
        failed += 1
        print(f"{name}: {error}")
sys.exit(bool(failed))
"""


def modules() -> list[Path]:
    return sorted(path.relative_to(ROOT) for path in (ROOT / "tasks").rglob("*.py"))


def dotted(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def uses_frameworks(path: Path) -> bool:
    """A module that only workers use: its top imports a framework, or a module that does."""
    return path in framework_users()


@cache
def framework_users() -> frozenset[Path]:
    heads = tuple(f"{verb} {name}" for name in FRAMEWORKS[:5] for verb in ("import", "from"))
    tops = {path: [line for line in (ROOT / path).read_text().splitlines() if line[:1] in "if"] for path in modules()}
    users = {path for path, lines in tops.items() if any(map(starts(heads), lines))}
    while True:
        inner = tuple(f"from {dotted(path)} import" for path in users)
        more = {path for path, lines in tops.items() if any(map(starts(inner), lines))} | users
        if more == users:
            return frozenset(users)
        users = more


def starts(heads: tuple[str, ...]) -> Callable[[str], bool]:
    return lambda line: line.startswith(heads)


def check(blocked: tuple[str, ...], names: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHECK, ",".join(blocked), *names], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]


@pytest.mark.slow
def test_every_module_but_the_tasks_imports_without_prefect_and_mlflow() -> None:
    check(ORCHESTRATION, [dotted(path) for path in modules() if path.name not in PARENT_SIDE])


def test_configuration_and_logic_import_without_torch() -> None:
    """Checked for whole rooms: what a pure module imports has to be pure as well."""
    check(
        FRAMEWORKS, [dotted(path) for path in modules() if path.name not in PARENT_SIDE and not uses_frameworks(path)]
    )


def test_the_tasks_import_without_torch() -> None:
    """What a flow imports starts in about a second; frameworks load in the workers."""
    check(FRAMEWORKS[:5], [dotted(path) for path in modules() if path.name in PARENT_SIDE])


@pytest.mark.parametrize("name", ["config.py", "task.py", "schema.py"])
def test_no_module_of_that_name_touches_a_framework(name: str) -> None:
    touching = [str(path) for path in modules() if path.name == name and uses_frameworks(path)]
    assert touching == []


def test_processes_are_started_in_one_place_only() -> None:
    """The spine starts workers; elsewhere a process escapes its deadline. Graders have a deadline of their own."""
    starters = {str(path) for path in modules() if "subprocess.Popen(" in (ROOT / path).read_text()}
    assert starters <= {"tasks/spine/stage/launch.py", "tasks/shared/verification/process.py"}


def test_tests_share_through_support_and_import_neither_tests_nor_conftests() -> None:
    shared = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for name in imported(path)
        if re.search(r"^tests\..*\b(conftest|test_\w+)", name)
    ]
    assert shared == []


def imported(path: Path) -> Iterator[str]:
    """Dotted names that a file imports, and those in programs that it hands to another process as text."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names):
                yield from (f"{module}.{alias.name}" for alias in names)
            case ast.Constant(value=str(text)):
                yield from re.findall(r"(?:import|from) (tests\.[\w.]+)", text)
