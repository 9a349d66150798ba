"""One stage, one name: its flow, its room, its section of the recipe, and the word that people type."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli.app import app
from flows.server.deployments import deployments_file
from flows.stages import stage_flow, stage_modules, stage_names
from tasks.estimates.stages import estimate
from tasks.recipe.base import Recipe
from tasks.recipe.loading import METHODS, base_model_of, load
from tasks.recipe.polya import PolyaRecipe
from tasks.recipe.rmt import RmtRecipe
from tasks.shared.costs.devices import device_named
from tasks.shared.models.resolve import SHIPPED
from tasks.spine.stage.task import STAGES
from tests.support.paths import ROOT

ROOM = {"rl_prompts": "dataset", "rmt_train": "rmt"}
"""Rooms that have another name than the stage: they make two stages, or carry the method's name."""


def test_a_stage_has_one_name_everywhere() -> None:
    names = stage_names()
    assert [stage_flow(name).name for name in names] == names
    assert set(names) <= set(STAGES)
    assert set(names) <= {section for recipe in METHODS.values() for section in recipe.model_fields}
    assert {*PolyaRecipe.stages(), *RmtRecipe.stages()} == {*names, "report"}
    tiny = {"polya": "tiny-cpu", "rmt": "tiny-cpu-rmt"}
    estimated = [estimate(load(METHODS[method], name), device_named("cpu")) for method, name in tiny.items()]
    assert {stage for costs in estimated for stage in costs} == {*names, "model", "report"}
    assert all(Path("tasks", ROOM.get(name, name), "task.py").is_file() for name in names)


def test_every_stage_has_a_deployment_on_the_pool_that_it_names() -> None:
    pools = {
        item["entrypoint"]: item["work_pool"]["name"]
        for item in deployments_file()["deployments"]
        if "stage" in item["tags"]
    }
    files = {name: module.replace(".", "/") + ".py" for name, module in stage_modules().items()}
    assert pools == {f"{files[name]}:{name}": STAGES[name].pool for name in stage_names()}
    assert files["texts"] == "flows/stages/rmt/texts.py"
    assert STAGES["questions"].pool == "cpu"
    assert STAGES["rl"].pool == "gpu"


def test_deployments_are_tagged_with_method_stage_toy_and_gpu() -> None:
    for item in deployments_file()["deployments"]:
        tags, flow = set(item["tags"]), item["entrypoint"].rpartition(":")[2]
        recipe = item.get("parameters", {}).get("recipe")
        if "stage" in tags:
            assert item["name"] == flow
            assert tags & set(METHODS) == {method for method, kind in METHODS.items() if flow in kind.stages()}
        else:
            assert tags & set(METHODS) == ({load(Recipe, recipe).method} if recipe else set(METHODS))
        assert ("toy" in tags) == (recipe is not None and base_model_of(recipe) in SHIPPED)
        assert ("gpu" in tags) == (item["work_pool"]["name"] == "gpu")


def test_force_takes_what_the_plan_prints(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MIDTRAIN_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    proposals = ["--set", "proposals.kind=approaches", "--set", "prompt.heuristic_template=By {instruction} {question}"]
    optional = {
        "polya": ["--set", "interpolate.alpha=0.5", *proposals],
        "rmt": ["--set", "think_tags.enabled=true"],
    }
    for command, stages in (("polya", PolyaRecipe.stages()), ("rmt", RmtRecipe.stages())):
        forced = [part for stage in stages for part in ("--force", stage)]
        done = CliRunner().invoke(app, ["plan", command, *optional[command], *forced])
        assert done.exit_code == 0, done.output
        printed = {line.split("│")[1].strip() for line in done.output.splitlines() if line.startswith("│")}
        assert printed - {"", "model"} == set(stages)


def test_an_old_name_is_refused_with_the_new_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MIDTRAIN_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    asked = {
        ("--set", "generation.samples_per_heuristic=2"): "generate",
        ("--set", "evaluation.samples=2"): "evaluate",
        ("--set", "midtraining.epochs=2"): "midtrain",
        ("--force", "materialize"): "dataset, rl_prompts",
        ("--force", "prompts"): "rl_prompts",
    }
    for arguments, new in asked.items():
        done = CliRunner().invoke(app, ["plan", "polya", *arguments])
        assert done.exit_code != 0
        assert f"called '{new}' now" in " ".join(done.output.split()), done.output


def test_docstrings_stand_without_the_name_that_they_explain() -> None:
    """A sentence that begins with "Of" or "By" hangs on the line above it."""
    hanging = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for folder in ("flows", "tasks", "tests")
        for path in (ROOT / folder).rglob("*.py")
        for line in path.read_text().splitlines()
        if re.match(r'\s*r?"""(Of|By) ', line)
    ]
    assert hanging == []
