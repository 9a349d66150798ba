"""What Prefect's server refuses before there is a run: names of settings, and values that they do not take."""

from typing import Any

import pytest
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import ValidationError, is_valid_schema, validate
from pydantic import BaseModel

from flows.compare import compare
from flows.polya import polya
from flows.rmt import rmt
from flows.stages.rl import rl
from tasks.recipe.base import Recipe
from tasks.recipe.loading import load, names
from tasks.recipe.merging import RecipeError, shared_places

SCHEMAS = {flow.name: parameter_schema(flow).model_dump() for flow in (polya, rmt, rl, compare)}
"""As a deployment of a flow makes them."""


def refused(flow: str, **parameters: Any) -> str:
    """Why the server refuses parameters; empty where it takes them."""
    try:
        validate(parameters, SCHEMAS[flow], raise_on_error=True)
    except ValidationError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("flow", SCHEMAS)
def test_the_schema_is_one_that_the_server_takes(flow: str) -> None:
    is_valid_schema(SCHEMAS[flow])


def test_forms_are_made_for_deployments_alone() -> None:
    """Where a flow is imported, they would take as long as all else."""
    assert "patternProperties" in SCHEMAS["polya"]["properties"]["overrides"]
    assert {*polya.parameters.properties["overrides"]} == {"default", "position", "title"}


def test_a_form_offers_sources_presets_benchmarks_and_arms_to_choose_from() -> None:
    fields = SCHEMAS["polya"]["properties"]
    assert {"question_source", "rl_question_source"} <= set(fields)
    for name in ("question_preset", "rl_question_preset"):
        assert {"", "gsm8k"} <= set(fields[name]["enum"])
    assert "math500" in fields["benchmarks"]["items"]["enum"]
    shipped, own = fields["arms"]["anyOf"]
    assert {"vanilla", "polya", "star"} <= set(shipped["items"]["enum"])
    assert own["items"]["type"] == "string"
    assert "text_source" in SCHEMAS["rmt"]["properties"]
    assert refused("polya", arms=["vanilla"], benchmarks=["gsm8k"], question_preset="gsm8k") == ""
    assert refused("polya", benchmarks=["gsm9k"])


@pytest.mark.parametrize(
    ("overrides", "why"),
    [
        ({"rl.step": 8}, "there is no setting of this name"),
        ({"rl.steps": "many"}, "not of type 'integer'"),
        ({"rl.steps": True}, "not of type 'integer'"),
        ({"rl.steps": -1}, "minimum of 0"),
        ({"rl": 5}, "not of type 'object'"),
        ({"rl": {"step": 5}}, "unexpected"),
        ({"rl.steps.x": 5}, "no setting"),
        ({"rl.trl.top": 1}, "no setting"),
        ({"rl.verification.timeout_s": 2.0}, "no setting"),
        ({"rl.seed": 3}, "no setting"),
        ({"seed": 2**32}, "maximum of 4294967295"),
        ({"evaluate.sources": {"gsm8k": 3}}, ""),
        ({"arms.polya.label": 3}, ""),
        ({"arms.polya.overrides": {"rl.step": 8}}, "'rl.step'"),
        ({"name": "x"}, "no setting"),
        ({"model.source": "http://user:secret@host/model"}, "an address with a password"),
        ({"model.source": "https://proxy/?u=https%3A%2F%2Fme%3Asecret%40host"}, "an address with a password"),
        ({"prompt.chat_template_kwargs.x": "http://user:secret@host"}, "an address with a password"),
        ({"model.source": "https://host/model?Sig=secret"}, "an address with a password, token or signature in it"),
    ],
)
@pytest.mark.parametrize("flow", ["polya", "rl"])
def test_what_cannot_run_is_refused(flow: str, overrides: dict[str, Any], why: str) -> None:
    message = refused(flow, overrides=overrides)
    assert why in message
    assert 0 < len(message) < 500
    if "name" not in overrides:
        with pytest.raises(RecipeError):
            settings = load(Recipe, "tiny-cpu", overrides)
            settings.chosen(())


def changed(model: BaseModel, prefix: str = "") -> dict[str, Any]:
    """Every setting of a recipe by its dotted name, with its value as a user writes it."""
    values = model.model_dump(mode="json")
    flat = {}
    for name in type(model).model_fields:
        flat[prefix + name] = values[name]
        inner = getattr(model, name)
        if isinstance(inner, BaseModel):
            flat |= changed(inner, f"{prefix}{name}.")
    return flat


@pytest.mark.parametrize("recipe", names())
def test_every_setting_of_every_recipe_is_taken(recipe: str) -> None:
    settings = load(Recipe, recipe)
    whole = [*shared_places(type(settings)), ("method",), ("name",)]
    taken = tuple(".".join(names) for names in whole)
    flat = {
        key: value
        for key, value in changed(settings).items()
        if not any(key == name or key.startswith(f"{name}.") for name in taken)
    }
    assert len(flat) > 150
    assert refused(settings.method, overrides=flat) == ""


@pytest.mark.parametrize(
    "overrides",
    [
        {"prompt.chat_template_kwargs.enable_thinking": False},
        {"evaluate.sources.gsm8k": "questions.jsonl"},
        {"filter.scorer": {"type": "none"}, "questions.limit": None, "rl.learning_rate": 1},
        {"arms": {"polya": {"label": "x", "overrides": {"rl.steps": 8, "dataset.variants": 2}}}},
    ],
)
def test_what_settings_hold_is_taken(overrides: dict[str, Any]) -> None:
    assert refused("polya", overrides=overrides) == ""


def test_seeds_and_recipes_that_cannot_run_are_refused() -> None:
    assert "non-unique" in refused("compare", seeds=[0, 0])
    assert "recipe" in refused("compare", recipe="https://host/own.yaml")
    assert refused("compare", recipe="/recipes/own.yaml", seeds=[0, 1]) == ""


def test_a_base_model_with_a_password_in_its_address_is_refused() -> None:
    assert "password" in refused("polya", base_model="https://user:secret@host/model")
    assert refused("polya", base_model="https://host/model") == ""
