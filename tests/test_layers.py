"""The layers: workers know nothing of Prefect and MLflow, logic nothing of torch, and imports run one way."""

import ast
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tasks.recipe.loading import METHODS
from tasks.recipe.merging import section_models
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


@pytest.mark.slow
def test_a_command_imports_nothing_that_only_workers_figures_or_trackers_use() -> None:
    """Prefect takes pandas along where it finds it; matplotlib is for who draws, MLflow for a run that builds."""
    program = (
        "import sys\nfrom flows.cli.commands import flow_named\nfor name in ('polya', 'rmt'): flow_named(name)\n"
        "print(*{'matplotlib', 'mlflow', 'pandas', 'scipy', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_gate_starts_with_what_the_workflow_installs() -> None:
    """Continuous integration compares runs without the packages that compute or draw."""
    check(
        (*FRAMEWORKS[:5], "mlflow", "numpy", "matplotlib", "pyarrow"),
        ["flows.cli.app", "flows.cli.commands", "flows.cli.gate", "flows.server.reading"],
    )


FORMS = """
from prefect.utilities.callables import parameter_schema
from flows.server import deploy, deployments
for item in deployments.deployments_file()["deployments"]:
    parameter_schema(deployments._flow(item["entrypoint"]).fn)
"""


@pytest.mark.slow
def test_a_commit_is_deployed_with_what_the_workflow_installs() -> None:
    """All flows are imported and their forms made, by a machine that runs none of them."""
    installs = (ROOT / ".github" / "workflows" / "midtrain.yml").read_text()
    given = {name for line in re.findall(r"pip install --constraint \S+ (.+)", installs) for name in line.split()}
    needed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"])
    # Prefect brings jinja2.
    missing = [name.replace("-", "_") for name in sorted(needed - given - {"jinja2"})]
    assert {"mlflow", "torch", "trl"} <= set(missing)
    hide = f"import sys\nsys.modules.update(dict.fromkeys({missing}))\n"
    done = subprocess.run([sys.executable, "-c", hide + FORMS], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("name", ["config.py", "task.py", "schema.py"])
def test_no_module_of_that_name_touches_a_framework(name: str) -> None:
    touching = [str(path) for path in modules() if path.name == name and uses_frameworks(path)]
    assert touching == []


def test_processes_are_started_in_one_place_only() -> None:
    """The spine starts workers; elsewhere a process escapes its deadline. Some rooms' processes have their own."""
    starters = {str(path) for path in modules() if "subprocess.Popen(" in (ROOT / path).read_text()}
    with_deadlines = ("verification/process", "verification/second_check", "prompts/template", "sandbox/process")
    own_deadline = {f"tasks/shared/{place}.py" for place in with_deadlines}
    assert starters <= {"tasks/spine/stage/launch.py", *own_deadline}


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


BELOW_ALL = ("tasks", "tasks.config", "tasks.errors", "tasks.logs", "tasks.text", "tasks.yaml_text")
AROUND = ("recipe", "estimates", "report", "release")
"""Rooms around those of the stages, whose order the recipes say."""
OFFERS_THE_SMALL_WORLD = {
    "tasks.questions.sources": "`source: tiny` makes questions where there is no network",
    "tasks.texts.sources": "`source: tiny` makes a corpus where there is no network",
}
MAY_IMPORT = {
    "pipeline": {"progress", "server"},
    "progress": set(),
    "server": {"pipeline", "stages"},
    "stages": {"pipeline"},
    "arms": {"pipeline", "stages"},
    "doctor": {"server", "stages"},
}
"""Folders of flows/ with those they may import; the flows beside them import all but `cli`, and `cli` imports all."""
MOST_MODULES = 14


def code() -> dict[str, Path]:
    """Modules of flows/ and tasks/ by their dotted names."""
    paths = [path for top in ("flows", "tasks") for path in sorted((ROOT / top).rglob("*.py"))]
    return {dotted(path.relative_to(ROOT)): path for path in paths}


@cache
def imports() -> dict[str, set[str]]:
    """Every module with those it imports anywhere, for type checking too."""
    names = code()

    def known(name: str) -> str:
        while name and name not in names:
            name = name.rpartition(".")[0]
        return name

    return {name: {*map(known, imported(path))} - {"", name} for name, path in names.items()}


def rooms() -> list[str]:
    """Rooms along the data, method by method, with those that read it in first: each may import those before it."""
    models = [section_models(kind)[name] for kind in METHODS.values() for name in kind.stage_sections().values()]
    return list(dict.fromkeys(["questions", "texts", *(model.__module__.split(".")[1] for model in models), *AROUND]))


def arrows() -> list[tuple[str, str]]:
    return [(module, name) for module, names in imports().items() for name in sorted(names)]


def floor(module: str) -> int:
    """How high a module stands: a module imports those of its own floor and of lower ones."""
    top, _, below = module.partition(".")
    floors = {"spine": 1, "shared": 2}
    return 0 if module in BELOW_ALL else 4 if top == "flows" else floors.get(below.split(".")[0], 3)


def room(module: str) -> str:
    """Folder that is a room: `tasks.rl`, `tasks.shared.models`."""
    parts = module.split(".")
    return ".".join(parts[: 3 if parts[1:2] in (["shared"], ["spine"]) else 2])


def circles(graph: dict[str, set[str]]) -> set[str]:
    """What is left when nothing can be taken away that imports nothing or that nothing imports."""
    left = set(graph)
    while True:
        imported_by_some = {name for module in left for name in graph[module]}
        inner = {module for module in left if graph[module] & left and module in imported_by_some}
        if inner == left:
            return left
        left = inner


def test_imports_run_one_way_from_flows_to_rooms_to_what_they_share_to_the_spine() -> None:
    assert [arrow for arrow in arrows() if floor(arrow[0]) < floor(arrow[1])] == []


def test_rooms_import_one_another_only_downwards_along_the_data() -> None:
    folders = {path.name for path in (ROOT / "tasks").iterdir() if (path / "__init__.py").exists()}
    assert folders == {*rooms(), "shared", "spine", "tiny"}
    place = {f"tasks.{name}": number for number, name in enumerate(rooms())}
    between = [(a, b) for a, b in arrows() if {room(a), room(b)} <= set(place)]
    assert [(a, b) for a, b in between if place[room(a)] < place[room(b)]] == []


def test_only_where_it_is_offered_as_data_does_anything_know_of_the_small_world() -> None:
    assert {a for a, b in arrows() if room(b) == "tasks.tiny" != room(a)} == set(OFFERS_THE_SMALL_WORLD)
    assert {b for a, b in arrows() if room(a) == "tasks.tiny" != room(b)} <= set(BELOW_ALL)


def test_flows_call_the_stages_and_stages_know_of_no_pipeline_that_calls_them() -> None:
    def folder(module: str) -> str:
        parts = module.split(".")
        return parts[1] if len(parts) > 2 or (ROOT / "flows" / parts[-1]).is_dir() else ""

    for a, b in arrows():
        if a.startswith("flows.") and b.startswith("flows."):
            allowed = MAY_IMPORT.get(folder(a), {*MAY_IMPORT, ""} | ({"cli"} if folder(a) == "cli" else set()))
            assert folder(b) in {folder(a), *allowed}, f"{a} imports {b}"


def test_no_import_runs_in_a_circle_among_modules_nor_among_rooms() -> None:
    assert circles(imports()) == set()
    between: dict[str, set[str]] = {}
    for a, b in arrows():
        if a.startswith("tasks.") and room(a) != room(b):
            between.setdefault(room(a), set()).add(room(b))
            between.setdefault(room(b), set())
    assert circles(between) == set()


def test_no_folder_holds_more_modules_than_one_can_take_in() -> None:
    counts = Counter(path.parent for path in code().values() if path.name != "__init__.py")
    assert {str(folder): count for folder, count in counts.items() if count > MOST_MODULES} == {}


def test_no_two_public_classes_have_one_name() -> None:
    homes: dict[str, list[str]] = {}
    for module, path in code().items():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(module)
    assert {name: found for name, found in homes.items() if len(found) > 1} == {}
