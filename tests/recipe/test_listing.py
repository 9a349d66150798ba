"""Settings can be found: every one is listed under the name by which it is set, and editors know them all."""

import json
from typing import Any

import jsonschema
import pytest

from tasks.recipe.listing import sections, settings
from tasks.recipe.loading import METHODS, RECIPES, names
from tasks.recipe.merging import RecipeError, check_keys
from tasks.recipe.schema import FILE, LINE, recipe_schema
from tasks.yaml_text import read_yaml

VALIDATOR = jsonschema.Draft202012Validator(recipe_schema())
BY_NAME = {item.name: item for item in settings()}


@pytest.mark.parametrize("method", METHODS)
def test_a_name_in_the_list_is_a_setting_of_the_recipe(method: str) -> None:
    for item in settings():
        if method in item.methods:
            nested: Any = item.default
            for part in reversed(item.name.split(".")):
                nested = {part: nested}
            check_keys(nested, METHODS[method], "")


@pytest.mark.parametrize("method", METHODS)
def test_what_a_recipe_holds_is_listed_once(method: str) -> None:
    def leaves(values: Any, prefix: str) -> set[str]:
        name = prefix.rstrip(".")
        if not isinstance(values, dict) or (name in BY_NAME and not any(item.startswith(prefix) for item in BY_NAME)):
            return {name}
        return {leaf for key, value in values.items() for leaf in leaves(value, f"{prefix}{key}.")}

    kind = METHODS[method]
    held = {name for name in leaves(kind().model_dump(mode="json"), "")}
    hidden = {name for name in held - BY_NAME.keys() if not set(name.split(".")[1:]) & set(kind.SHARED)}
    assert {name.rpartition(".")[2] for name in hidden} <= {"name", "source_digest", "evaluation_digest"}
    listed = [item.name for item in settings() if method in item.methods]
    assert len(set(listed)) == len(listed)


def test_a_default_its_type_and_its_source_are_those_of_the_field() -> None:
    said = {name: BY_NAME[name].source for name in ("rl.group_size", "rl.steps", "questions.limit", "rl.beta")}
    assert said == {"rl.group_size": "paper", "rl.steps": "ours", "questions.limit": "ours", "rl.beta": ""}
    assert BY_NAME["verification.float_decimals"].source == "library"
    assert BY_NAME["schedule.epochs"].source == "paper"
    assert (BY_NAME["rl.steps"].default, BY_NAME["rl.steps"].type) == (0, "int >= 0")
    assert BY_NAME["rl.loss_type"].type == "grpo | dr_grpo | dapo | cispo"
    assert BY_NAME["questions.limit"].type.startswith("int | null")
    assert BY_NAME["rl.steps"].text.startswith("Rollout batches of the whole run")


def test_a_section_is_found_and_a_misspelled_one_is_named() -> None:
    assert {item.name.partition(".")[0] for item in settings("rl")} == {"rl"}
    assert [item.name for item in settings("rl.steps")] == ["rl.steps"]
    assert {"rl", "prompt", "runtime", "rmt_train"} <= set(sections())
    with pytest.raises(RecipeError, match=r"did you mean 'rl\.steps'"):
        settings("rl.stps")


def test_the_schema_beside_the_recipes_is_that_of_these_settings() -> None:
    written = json.loads((RECIPES / FILE).read_text())
    assert written == recipe_schema(), f"write it again: midtrain recipes --schema deployments/recipes/{FILE}"


@pytest.mark.parametrize("name", names())
def test_a_shipped_recipe_names_the_schema_and_is_as_it_says(name: str) -> None:
    file = RECIPES / f"{name}.yaml"
    assert file.read_text().splitlines()[0] == LINE
    assert [error.message for error in VALIDATOR.iter_errors(read_yaml(file))] == []


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"rl": {"stepz": 3}}, "$.rl"),
        ({"rl": {"learning_rate": -1}}, "$.rl.learning_rate"),
        ({"method": "rmt", "generate": {}}, "$"),
        ({"name": "mine"}, "$"),
    ],
)
def test_an_editor_marks_what_would_be_refused(values: dict[str, Any], place: str) -> None:
    (error,) = VALIDATOR.iter_errors(values)
    assert error.json_path == place
