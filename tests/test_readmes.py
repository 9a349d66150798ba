"""The READMEs say what is there: commands, settings, deployments, links, paths, and costs as they are printed."""

import json
import os
import pkgutil
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel
from typer.main import get_command
from typer.testing import CliRunner

from tasks.recipe.base import Recipe
from tasks.recipe.loading import METHODS, load, names

ROOT = Path(__file__).resolve().parents[1]
TOPS = ("flows", "tasks", "deployments", "docker", "tests", ".github")
FRONT = ROOT / "README.md"
PLACES = (
    "flows",
    "tasks",
    "deployments",
    "deployments/recipes",
    "docker",
    "tests",
    "tests/bench",
    "tasks/filter",
    "tasks/generate",
    "tasks/shared/sandbox",
    "tasks/shared/verification",
)
PAGES = [FRONT, ROOT / "CONTRIBUTING.md", *(ROOT / place / "README.md" for place in PLACES)]
APP = pkgutil.resolve_name(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["midtrain"])
COPIED = {"mine.yaml": "qwen3-0.6b-1gpu"}
"""Recipe that the front page copies, which is not there before."""
GONE = re.compile(
    r"materiali[sz]e|\bgeneration\.|\bfiltering\.|midtraining|\bevaluation\.|\bprediction\.|[Mm]ethod [AB]\b"
)
"""Former names of stages, sections, arms and methods."""
EVENTS = {"model.base.released", "midtrain.rows", "midtrain.ledger"}
BLOCK = re.compile(r"(?:^<!-- ([^\n]*) -->\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


@dataclass(frozen=True)
class Block:
    """A block of commands and the comment before it."""

    page: str
    mark: str
    text: str

    @property
    def commands(self) -> list[list[str]]:
        lines = self.text.replace("\\\n", " ").splitlines()
        return [shlex.split(line[2:], comments=True) for line in lines if line.startswith("$ ")]


def blocks() -> list[Block]:
    found = [(page, match) for page in PAGES for match in BLOCK.finditer(page.read_text())]
    return [Block(named(page), match[1] or "", match[3]) for page, match in found if match[2] == "console"]


def prose(page: Path) -> str:
    return BLOCK.sub("", page.read_text())


def ticked(page: Path) -> list[str]:
    return re.findall(r"`([^`\n]+)`", prose(page))


def commands() -> Iterator[list[str]]:
    """Commands of blocks, and those in running text that are whole."""
    for block in blocks():
        yield from block.commands
    for page in PAGES:
        for text in ticked(page):
            if text.startswith(("midtrain ", "make ")) and not re.search(r"\.\.\.|[|\[]|\b[A-Z]{3,}\b(?!=)", text):
                yield shlex.split(text)


def of(program: str) -> list[str]:
    """Commands of one program, each once, its place left out."""
    return sorted({shlex.join(words[1:]) for words in commands() if Path(words[0]).name == program})


def test_the_front_page_is_one_page_with_a_small_picture() -> None:
    assert FRONT.stat().st_size <= 12_288
    assert (ROOT / ".github" / "report.png").stat().st_size <= 200_000


@pytest.mark.parametrize("block", blocks(), ids=lambda block: f"{block.page}: {block.text.splitlines()[0][2:40]}")
def test_a_block_of_commands_names_the_tests_that_run_it_or_why_none_does(block: Block) -> None:
    assert re.match("(tested|not run by a test): .", block.mark)
    kind, _, what = block.mark.partition(": ")
    assert kind != "tested" or set(what.split(", ")) <= known_tests()


@cache
def known_tests() -> set[str]:
    files = (ROOT / "tests").rglob("test_*.py")
    return {name for file in files for name in re.findall(r"^def (test_\w+)\(", file.read_text(), re.MULTILINE)}


@pytest.mark.parametrize("line", of("midtrain"))
def test_commands_options_recipes_and_settings_exist(line: str) -> None:
    command, path, words = get_command(APP), [], shlex.split(line)
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        path.append(words.pop(0))
        command = command.commands[path[-1]]
    if hasattr(command, "commands") or not words:
        assert set(words) <= {option for parameter in command.params for option in parameter.opts}
        return
    given = command.make_context(" ".join(path), words).params
    overrides = dict(pair.split("=", 1) for pair in given.get("set_") or ())
    recipe = given.get("recipe") or "tiny-cpu"
    kind = METHODS.get(path[-1], Recipe)
    load(kind, COPIED.get(recipe, recipe), {key: yaml.safe_load(value) for key, value in overrides.items()})
    if given.get("benchmarks"):
        wanted = [name.partition("=")[0] for name in given["benchmarks"].split(",")]
        assert set(wanted) <= {path.stem for path in (ROOT / "tasks").glob("*/benchmarks/*.yaml")}


@pytest.mark.parametrize("line", of("make"))
def test_make_has_the_target(line: str) -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert (shlex.split(line) or ["run"])[0] in targets


@pytest.mark.slow
@pytest.mark.parametrize("line", of("prefect"))
def test_commands_and_options_of_prefect_exist(line: str) -> None:
    words = shlex.split(line)
    end = next((place for place, word in enumerate(words) if word.startswith("-")), len(words))
    command = [word for word in words[:end] if re.fullmatch(r"[a-z-]+", word)]
    asked = [Path(sys.executable).with_name("prefect"), *command, "--help"]
    wide = {**os.environ, "COLUMNS": "200"}
    shown = subprocess.run(asked, capture_output=True, text=True, check=True, env=wide).stdout
    assert all(re.search(rf"{word}\b", shown) for word in words if word.startswith("--"))


@cache
def deployments() -> dict[str, Any]:
    """Flows by flow/deployment."""
    from prefect.flows import load_flow_from_entrypoint

    listed = yaml.safe_load((ROOT / "deployments" / "prefect.yaml").read_text())["deployments"]
    flows = [(item["name"], load_flow_from_entrypoint(str(ROOT / item["entrypoint"]))) for item in listed]
    return {f"{flow.name}/{name}": flow for name, flow in flows}


def test_deployments_and_their_parameters_exist() -> None:
    started = [shlex.split(line)[2:] for line in of("prefect") if line.startswith("deployment run")]
    assert started
    for name, *words in started:
        flow = deployments()[name]
        pairs = [words[place + 1].split("=", 1) for place, word in enumerate(words) if word == "--param"]
        flow.validate_parameters({key: json.loads(value) for key, value in pairs})
    flows = {name.partition("/")[0] for name in deployments()}
    mentioned = {text for page in PAGES for text in ticked(page) if re.fullmatch(r"[a-z-]+/[a-z0-9.-]+", text)}
    assert {text for text in mentioned if text.partition("/")[0] in flows} <= set(deployments())


def test_the_tables_of_stages_have_every_stage() -> None:
    """Those that the forms of both pipelines offer to build again."""
    from prefect.utilities.callables import parameter_schema

    flows = [deployments()[name] for name in ("polya/tiny-cpu", "rmt/tiny-cpu-rmt")]
    forms = [parameter_schema(flow).properties["force"] for flow in flows]
    stages = {stage for form in forms for stage in form["items"]["enum"]} - {"all", "model"}
    tables = prose(FRONT).partition("## The stages")[2]
    assert set(re.findall(r"^\| (\w+) \|", tables, re.MULTILINE)) - {"stage"} == stages


def has(model: type[BaseModel], keys: list[str]) -> bool:
    """Whether dotted keys lead to a setting; what lies within a union or a mapping is not looked at."""
    if keys[0] not in model.model_fields:
        return False
    inner = model.model_fields[keys[0]].annotation
    return len(keys) == 1 or not (isinstance(inner, type) and issubclass(inner, BaseModel)) or has(inner, keys[1:])


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_settings_in_the_text_exist_and_no_former_name_is_used(page: Path) -> None:
    kinds = list(METHODS.values())
    keys = {text.partition("=")[0].removeprefix("--set ") for text in ticked(page)} - EVENTS
    settings = [key.split(".") for key in keys if re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", key)]
    settings = [words for words in settings if any(words[0] in kind.model_fields for kind in kinds)]
    assert [".".join(words) for words in settings if not any(has(kind, words) for kind in kinds)] == []
    assert GONE.findall(page.read_text()) == []


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=named)
def test_links_lead_to_pages_and_headings(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if not target.startswith("http"):
            place, _, anchor = target.partition("#")
            file = page.parent / place if place else page
            assert file.exists(), target
            assert not anchor or anchor in anchors(file), target


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@cache
def tree() -> list[str]:
    inside = [
        path for top in TOPS for path in [ROOT / top, *(ROOT / top).rglob("*")] if "__pycache__" not in path.parts
    ]
    return [str(path.relative_to(ROOT)) for path in [*inside, *ROOT.glob("*.*"), ROOT / "Makefile"]]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_paths_in_the_text_and_in_commands_exist(page: Path) -> None:
    words = [word for block in blocks() if block.page == named(page) for line in block.commands for word in line]
    made = {word for block in blocks() for line in block.commands if line[0] == "cp" for word in line[2:]}
    for text in [*ticked(page), *words]:
        module = re.fullmatch(r"tasks(\.\w+)+", text)
        path = text.replace(".", "/") + ".py" if module else text.rstrip("/")
        by_name = text in ticked(page) and (text.endswith("/") or re.search(r"\.(py|yaml|Dockerfile|sh|txt)$", text))
        if path in {*made, *COPIED} or not re.fullmatch(r"[\w./-]+", path):
            continue
        if path.partition("/")[0] in TOPS:
            assert path in tree(), text
        elif by_name and not text.startswith((".midtrain", "/")):
            assert any(f"/{item}".endswith(f"/{path}") for item in tree()), text


@pytest.mark.parametrize("name", names())
def test_estimates_of_every_recipe_are_the_tables(name: str) -> None:
    printed = CliRunner().invoke(APP, ["estimate", "--recipe", name], catch_exceptions=False)
    assert printed.exit_code == 0
    lines = printed.stdout.splitlines()
    for page in PAGES:
        for table in re.findall(rf"<!-- estimate: {re.escape(name)} -->\n((?:\|.*\n)+)", page.read_text()):
            assert [line for line in table.splitlines() if line not in lines] == []
    (whole,) = [line.split(" | ") for line in lines if line.startswith("| **all**")]
    (row,) = [line.split(" | ") for line in FRONT.read_text().splitlines() if line.startswith(f"| `{name}` |")]
    assert [row[-2], row[-1]] == [whole[-2], whole[-1]]


def test_the_command_writes_questions_as_parquet(tmp_path: Path) -> None:
    rows = [{"question": f"{n} + 1?", "answer": f"{n} + 1 = {n + 1}\n#### {n + 1}"} for n in range(3)]
    source, out = tmp_path / "train.jsonl", tmp_path / "questions.parquet"
    source.write_text("\n".join(map(json.dumps, rows)))
    done = CliRunner().invoke(APP, ["questions", str(source), "--preset", "gsm8k", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert out.exists()
