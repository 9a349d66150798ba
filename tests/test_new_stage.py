"""A stage is added by a room, a flow, and two edits of what stages share; everything else sees it by itself."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

STAGE = ROOT / "tests" / "support" / "made_up_stage"
ROOM = ("__init__.py", "config.py", "estimate.py", "task.py")
SECTION = "    midtrain: MidtrainConfig = MidtrainConfig()\n"
DATASET = '    return call(dataset, **given, **arm.stage("dataset"))\n'
EDITS = {
    "tasks/recipe/polya.py": {
        "from tasks.recipe.base import": "from tasks.tally.config import TallyConfig\nfrom tasks.recipe.base import",
        SECTION: f"{SECTION}    tally: TallyConfig = TallyConfig()\n",
    },
    "flows/arms/polya.py": {
        "from tasks.recipe.base import": "from flows.stages.tally import tally\nfrom tasks.recipe.base import",
        DATASET: DATASET.replace("return", "made =")
        + '    call(tally, dataset=str(made), **arm.stage("tally"))\n    return made\n',
    },
}
"""The section of the recipe, and the call in an arm, each with its import."""

PROGRAM = """
import json, sys
import pytest
from typer.testing import CliRunner
from flows.cli.app import app
from flows.server.deployments import deployments_file
from tasks.recipe.loading import load
from tasks.recipe.polya import PolyaRecipe

asked = {"plan": ["plan", "polya", "--force", "tally"], "estimate": ["estimate", "--set", "tally.share=0.5"]}
said = {name: CliRunner().invoke(app, words).output for name, words in asked.items()}
said["deployments"] = [item for item in deployments_file()["deployments"] if "tally" in item["entrypoint"]]
said["seed"] = load(PolyaRecipe, "tiny-cpu", {"seed": 7}).tally.seed
json.dump(said, open(sys.argv[1], "w"))
sys.exit(pytest.main(["-q", "-n0", "-p", "no:cacheprovider", *sys.argv[2:]]))
"""
TESTS = (
    "tests/test_layers.py::test_imports_run_one_way_from_flows_to_rooms_to_what_they_share_to_the_spine",
    "tests/test_layers.py::test_rooms_import_one_another_only_downwards_along_the_data",
    "tests/test_layers.py::test_flows_call_the_stages_and_stages_know_of_no_pipeline_that_calls_them",
    "tests/test_names.py::test_a_stage_has_one_name_everywhere",
    "tests/test_names.py::test_every_stage_has_a_deployment_on_the_pool_that_it_names",
    "tests/recipe/test_stage_keys.py",
)


@pytest.mark.slow
def test_a_new_stage_needs_its_section_and_its_call_and_nothing_else(tmp_path: Path) -> None:
    copy = tmp_path / "project"
    for name in ("flows", "tasks", "deployments", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    (copy / "tasks" / "tally").mkdir()
    for name in ROOM:
        shutil.copy(STAGE / name, copy / "tasks" / "tally")
    shutil.copy(STAGE / "flow.py", copy / "flows" / "stages" / "tally.py")
    for file, changes in EDITS.items():
        text = (copy / file).read_text()
        for before, after in changes.items():
            assert text.count(before) == 1
            text = text.replace(before, after)
        (copy / file).write_text(text)

    out = tmp_path / "said.json"
    environment = {**os.environ, "PYTHONPATH": str(copy), "MIDTRAIN_HOME": str(tmp_path / "home"), "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(out), *TESTS], cwd=copy, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(out.read_text())
    planned = next(line for line in said["plan"].splitlines() if "│ tally " in line)
    assert "waits" in planned
    assert "unknown" not in planned
    assert "| tally | 1 |" in said["estimate"]
    assert said["seed"] == 7
    assert [item["work_pool"]["name"] for item in said["deployments"]] == ["gpu"]
