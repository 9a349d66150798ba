"""The settings of the small world are for its own models: chosen for them, and refused on any other."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows.cli import commands
from flows.cli.app import app
from flows.pipeline.forms import recipe_form
from flows.pipeline.recipes import check_parameters, fitting_recipe, refuse_small_world
from flows.pipeline.run import stage_run
from tasks.recipe.base import Recipe
from tasks.recipe.loading import DEFAULTS, base_model_of, load, names
from tasks.recipe.merging import RecipeError
from tasks.recipe.polya import PolyaRecipe
from tasks.spine.stage.stage import Build
from tests.support.paths import TINY_MODEL
from tests.support.small_world import NumberOf, World, make, small_world
from tests.support.talking_model import save_talking_model


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_talking_model(tmp_path_factory.mktemp("stranger"), chat=True)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with small_world(tmp_path_factory.mktemp("home")) as world:
        yield world


def imported(model: Path) -> Any:
    def point(build: Build, config: Any) -> None:
        build.record(external=str(model))

    return make("model", "model", point, NumberOf(count=1))


def test_a_model_is_measured_with_settings_that_fit_it(world: World, stranger: Path, tmp_path: Path) -> None:
    copied = tmp_path / "copy"
    shutil.copytree(TINY_MODEL, copied)
    small = ["embedded", "embedded-thinking", "embedded-overthinking", str(copied), str(world.model)]
    others = [str(stranger), str(imported(stranger)), "org/name", "s3://bucket/model", "model/none", str(tmp_path)]
    assert {name: fitting_recipe(name) for name in small} == dict.fromkeys(small, "tiny-cpu")
    assert {name: fitting_recipe(name) for name in others} == dict.fromkeys(others, DEFAULTS)


@pytest.mark.parametrize(("options", "recipe"), [([], DEFAULTS), (["--recipe", "tiny-cpu"], "tiny-cpu")])
def test_the_command_takes_what_fits_unless_told_otherwise(
    world: World, stranger: Path, options: list[str], recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(commands, "run_and_show", lambda name, parameters, *_: asked.append(parameters) or 0)
    assert CliRunner().invoke(app, ["evaluate", str(stranger), *options]).exit_code == 0
    assert asked == [{"recipe": recipe, "overrides": {"model.source": str(stranger)}}]


def test_defaults_are_those_of_the_fields() -> None:
    recipe = load(PolyaRecipe, DEFAULTS, {"evaluate.samples": 2})
    assert recipe.model_dump() == PolyaRecipe(name=DEFAULTS, evaluate={"samples": 2}).model_dump()
    assert recipe.prompt.style == "auto"
    assert DEFAULTS not in names()
    forms = [recipe_form(method).schema()["anyOf"][0]["enum"] for method in ("", "polya", "rmt")]
    assert [DEFAULTS in form for form in forms] == [True, True, False]


EVALUATED = {"prompt.style": "chat", "evaluate.sampling.max_new_tokens": 512}
"""What has to be set for a stranger that is measured by a recipe of the small world."""


@pytest.mark.parametrize("source", ["folder", "org/name"])
def test_a_command_refuses_a_recipe_of_the_small_world_on_another_model(stranger: Path, source: str) -> None:
    model = str(stranger) if source == "folder" else source
    limits = "generate.sampling.max_new_tokens, rl.max_completion_tokens, evaluate.sampling.max_new_tokens"
    with pytest.raises(RecipeError, match=r"'tiny-cpu' has the prompts .* 'defaults'") as refused:
        check_parameters("polya", {"recipe": "tiny-cpu", "base_model": model})
    assert all(key in str(refused.value) for key in ["prompt.style", *limits.split(", ")])
    with pytest.raises(RecipeError, match=r"fits this model: prompt.style, evaluate.sampling.max_new_tokens$"):
        check_parameters("evaluate", {"recipe": "tiny-cpu", "overrides": {"model.source": model}})
    with pytest.raises(RecipeError, match=r"prediction_prompt.style.*rmt_train.max_completion_tokens"):
        check_parameters("rmt", {"recipe": "tiny-cpu-rmt", "base_model": model})
    with pytest.raises(RecipeError, match=r"fits this model: evaluate.sampling.max_new_tokens$"):
        check_parameters(
            "evaluate", {"recipe": "tiny-cpu", "overrides": {"model.source": model, "prompt.style": "auto"}}
        )


def test_what_a_user_has_set_for_the_model_is_taken(stranger: Path) -> None:
    nested = {"prompt": {"style": "chat"}, "evaluate.sampling": {"max_new_tokens": 512}}
    for overrides in (EVALUATED, nested):
        check_parameters("evaluate", {"recipe": "tiny-cpu", "overrides": {"model.source": str(stranger), **overrides}})
    for recipe in ("qwen3-0.6b-1gpu", DEFAULTS):
        check_parameters("polya", {"recipe": recipe, "base_model": str(stranger)})
    for model in ("embedded", str(TINY_MODEL), "s3://bucket/model"):
        check_parameters("polya", {"recipe": "tiny-cpu", "base_model": model})


def test_a_stage_refuses_a_recipe_of_the_small_world_on_another_model(world: World, stranger: Path) -> None:
    """As a run from the form, or one with an address, meets it."""
    model = str(imported(stranger))
    with stage_run("evaluate", "tiny-cpu", {}) as run:
        assert run.model(str(world.model)) == world.model
        with pytest.raises(RecipeError, match=rf"{model} is none of these.*evaluate.sampling.max_new_tokens"):
            run.model(model)
    for recipe, overrides in (("tiny-cpu", EVALUATED), (DEFAULTS, {})):
        with stage_run("evaluate", recipe, overrides) as run:
            assert str(run.model(model)) == model
    with stage_run("entropy", "tiny-cpu-rmt", {}) as run:
        assert str(run.model(model)) == model


def test_every_recipe_of_the_small_world_names_its_model() -> None:
    assert {name for name in names() if base_model_of(name).startswith("embedded")} == {
        name for name in names() if name.startswith("tiny-")
    }


@pytest.mark.parametrize("recipe", ["tiny-cpu", "tiny-cpu-rmt"])
def test_the_recipe_that_a_refusal_names_is_there_and_of_the_same_method(recipe: str) -> None:
    settings = load(Recipe, recipe)
    with pytest.raises(RecipeError) as refused:
        refuse_small_world(settings, recipe, {}, settings.stages(), "org/name")
    named = re.search(r"such as '([^']+)'", str(refused.value))
    assert named is not None
    assert load(Recipe, named[1]).method == settings.method
