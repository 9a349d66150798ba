"""The command: quick help, clear refusals, and the same result as the flow."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli.app import app
from flows.cli.options import parse_benchmarks, parse_overrides
from tasks.recipe.base import Recipe
from tasks.recipe.loading import load, names
from tasks.recipe.merging import RecipeError
from tasks.recipe.polya import PolyaRecipe
from tasks.recipe.rmt import RmtRecipe
from tasks.shared.next_token.method import budget
from tests.support.paths import ROOT

BIN = Path(sys.executable).parent


def test_help_answers_without_heavy_imports() -> None:
    code = """
import sys
sys.argv = ["midtrain", "--help"]
from flows.cli.app import app
try:
    app()
except SystemExit:
    pass
heavy = {"torch", "transformers", "prefect", "mlflow", "datasets", "pyarrow"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "lineage" in done.stdout


def test_a_new_user_s_terminal_has_no_notice_of_usage_data(tmp_path: Path) -> None:
    """Prefect shows one on a terminal alone, once in a home, and not in continuous integration."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "MIDTRAIN_HOME": str(tmp_path / "home")}
    outer, inner = os.openpty()
    command = [sys.executable, "-m", "flows.cli", "estimate"]
    shown = b""
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=inner, stderr=inner) as running:
        os.close(inner)
        # A terminal that nobody writes to any more is an error to read from.
        with suppress(OSError):
            while read := os.read(outer, 4096):
                shown += read
    os.close(outer)
    assert running.returncode == 0, shown.decode()
    assert "| rl |" in shown.decode()
    assert "usage data" not in shown.decode()


def test_benchmarks_are_named_with_their_files() -> None:
    assert parse_benchmarks("math500, mine=data/own.yaml") == {"math500": "", "mine": "data/own.yaml"}


def test_set_reads_values_as_yaml() -> None:
    pairs = ["a.b=3", "c=[1, 2]", "d=1e-3", "e=null", "f=text=more"]
    assert parse_overrides(pairs) == {"a.b": 3, "c": [1, 2], "d": 1e-3, "e": None, "f": "text=more"}


@pytest.mark.parametrize(
    ("key", "closest"),
    [
        ("generate.sampels_per_heuristic", "generate.samples_per_heuristic"),
        ("midtrainig.epochs", "midtrain"),
        ("rl.learnin_rate", "rl.learning_rate"),
        ("generate.sampling.temperatur", "generate.sampling.temperature"),
    ],
)
def test_unknown_settings_are_refused_with_the_closest_name(key: str, closest: str) -> None:
    with pytest.raises(RecipeError, match=f"did you mean '{closest}'"):
        load(PolyaRecipe, "tiny-cpu", {key: 1})


def test_wrong_values_name_field_and_value() -> None:
    with pytest.raises(RecipeError, match=r"rl\.learning_rate.*-1"):
        load(PolyaRecipe, "tiny-cpu", {"rl.learning_rate": -1})


@pytest.mark.parametrize("seeds", ["", "a", "0,1.5", "-1"])
def test_seeds_are_whole_numbers(seeds: str) -> None:
    result = CliRunner().invoke(app, ["plan", "compare", "--seeds", seeds])
    assert result.exit_code == 2
    assert f"--seeds {seeds!r}" in result.output


def test_unknown_recipe_names_the_closest() -> None:
    with pytest.raises(RecipeError, match="tiny-cpu"):
        load(PolyaRecipe, "tiny-cpuu")


def test_command_prints_the_refusal_and_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDTRAIN_HOME", str(tmp_path))
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    result = CliRunner().invoke(app, ["plan", "polya", "--set", "rl.learnin_rate=1"])
    assert result.exit_code == 1
    assert "rl.learning_rate" in result.stdout


@pytest.mark.parametrize("name", names())
def test_every_recipe_and_each_of_its_arms_loads(name: str) -> None:
    recipe = load(Recipe, name)
    assert recipe.description
    for arm in recipe.arms:
        recipe.arm(arm)
    assert recipe.prompt == recipe.evaluate.prompt == recipe.rl_prompts.prompt
    assert recipe.verification == recipe.evaluate.verification == recipe.rl.verification


@pytest.mark.parametrize("name", names("polya"))
def test_method_a_shows_questions_and_checks_answers_in_one_way(name: str) -> None:
    recipe = load(PolyaRecipe, name)
    assert recipe.generate.prompt == recipe.prompt == recipe.dataset.prompt
    assert recipe.filter.verification == recipe.verification


@pytest.mark.parametrize("name", names("rmt"))
def test_method_b_asks_for_predictions_in_one_way(name: str) -> None:
    recipe = load(RmtRecipe, name)
    stages = (recipe, recipe.schedule, recipe.rmt_train, recipe.predict)
    assert len({stage.prediction_prompt.model_dump_json() for stage in stages}) == 1


@pytest.mark.parametrize("name", names("rmt"))
def test_a_measurement_asks_for_the_budget_that_training_ended_with(name: str) -> None:
    recipe = load(RmtRecipe, name)
    end = budget(1, 1, recipe.schedule.budget)
    assert recipe.prediction_at_end().budget_tokens == end
    assert recipe.arm("ntr").prediction_at_end().budget_tokens == 0


def test_a_recipe_of_another_method_is_refused_with_the_command_for_it() -> None:
    with pytest.raises(RecipeError, match="midtrain run rmt"):
        load(PolyaRecipe, "tiny-cpu-rmt")


def test_arm_overrides_are_stronger_than_the_recipe_and_the_seed_reaches_every_stage() -> None:
    arms = {"few": {"label": "few", "overrides": {"dataset.variants": 1}}}
    recipe = load(PolyaRecipe, "tiny-cpu", {"seed": 7, "arms": arms})
    assert recipe.arm("few").dataset.variants == 1
    assert {recipe.generate.seed, recipe.midtrain.seed, recipe.rl.seed} == {7}
    assert recipe.evaluate.seed == 0
