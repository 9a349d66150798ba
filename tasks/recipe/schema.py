"""Recipes as a JSON schema, by which editors complete, explain and check what is written."""

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, models_json_schema
from pydantic_core.core_schema import ModelSchema

from tasks.recipe.docstrings import docstring
from tasks.recipe.loading import METHODS
from tasks.recipe.merging import section_models, shared_places
from tasks.recipe.polya import PolyaRecipe


class _Explained(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:
        """No: a title says a field's name once more."""
        return False

    def model_schema(self, schema: ModelSchema) -> dict[str, Any]:
        """The schema of a section, with what the code says of each setting."""
        found = super().model_schema(schema)
        for name, field in found.get("properties", {}).items():
            if text := docstring(schema["cls"], name):
                field["description"] = text
        return found


FILE = "recipe.schema.json"
"""Name under which it lies beside the shipped recipes, whose first line leads editors to it."""
LINE = f"# yaml-language-server: $schema={FILE}"
DEFINITIONS = "#/$defs/{model}"


def recipe_schema() -> dict[str, Any]:
    """The schema of a recipe file of any method; which one, its `method` says."""
    kinds = [(kind, "validation") for kind in METHODS.values()]
    places, shared = models_json_schema(kinds, ref_template=DEFINITIONS, schema_generator=_Explained)
    for kind in METHODS.values():
        # A file's name is its recipe's.
        del shared["$defs"][kind.__name__]["properties"]["name"]
        models = section_models(kind)
        for section, name in shared_places(kind):
            # Set once, for all stages; in a stage it is refused.
            shared["$defs"][models[section].__name__]["properties"].pop(name, None)
    schema: dict[str, Any] = places[PolyaRecipe, "validation"]
    for method, kind in METHODS.items():
        if kind is not PolyaRecipe:
            condition = {"required": ["method"], "properties": {"method": {"const": method}}}
            schema = {"if": condition, "then": places[kind, "validation"], "else": schema}
    return {"$schema": GenerateJsonSchema.schema_dialect, "title": "A recipe of midtrain", **schema, **shared}
