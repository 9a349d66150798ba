"""Every setting of a recipe as JSON schema: its dotted name, and the values that it takes.

Prefect's server checks the parameters of a run by it before there is a run. Names are patterns and no properties, for
which Prefect's form would show a field each, filled with its default.
"""

import re
from collections.abc import Iterator
from typing import Any

from tasks.recipe.base import Recipe
from tasks.recipe.merging import shared_places
from tasks.text import NESTED_PASSWORD, PASSWORD, SECRET

Schema = dict[str, Any]
WORDS = ("title", "description", "default", "discriminator")
"""What a schema says to people, and what only a form with a field for each setting could use."""
# As a condition: the patterns would else stand in the message.
NO_PASSWORD: Schema = {
    "if": {"type": "string", "pattern": "|".join(it.pattern for it in (PASSWORD, NESTED_PASSWORD, SECRET))},
    "then": {"not": {"title": "an address with a password, token or signature in it"}},
}
UNKNOWN: Schema = {"not": {"title": "there is no setting of this name"}}
"""Refuses any value; its title stands in the message."""
ANY_NAME = r"[^.]+"


def settings_schema(kinds: tuple[type[Recipe], ...], without: frozenset[str] = frozenset()) -> Schema:
    """The schema of an object whose keys are dotted settings of recipes of some kinds.

    Args:
        without: sections that nobody sets.
    """
    values: dict[str, list[Schema]] = {}
    for kind in kinds:
        whole = _with_names_in_arms(kind)
        for key, schema in _set_by_users(kind, whole):
            if key.split(r"\.")[0] not in without and schema not in values.setdefault(f"^{key}$", []):
                values[f"^{key}$"].append(schema)
    return {
        "type": "object",
        "patternProperties": {key: _any_of(schemas) for key, schemas in values.items()},
        "additionalProperties": UNKNOWN,
    }


def _with_names_in_arms(kind: type[Recipe]) -> Schema:
    """The schema of a recipe in which the overrides of an arm take the names of its settings alone."""
    whole = kind.model_json_schema()
    arms = whole["properties"].pop("arms")
    names = "|".join(key for key, _ in _set_by_users(kind, whole))
    # As a condition: a pattern of this length would else stand in the message.
    known = {"propertyNames": {"if": {"pattern": f"^({names})$"}, "else": UNKNOWN}}
    arm = whole["$defs"][arms["additionalProperties"]["$ref"].rpartition("/")[2]]
    arm["properties"]["overrides"] |= known
    whole["properties"]["arms"] = arms
    return whole


def _set_by_users(kind: type[Recipe], whole: Schema) -> Iterator[tuple[str, Schema]]:
    """As `_settings`, without what stages have of shared sections, which are set once for all of them."""
    of_all = tuple(rf"{name}\.{shared}" for name, shared in shared_places(kind))
    for key, schema in _settings(_inlined(whole, whole["$defs"]), ""):
        if not any(key == other or key.startswith(rf"{other}\.") for other in of_all):
            yield key, schema


def _settings(schema: Schema, prefix: str) -> Iterator[tuple[str, Schema]]:
    """Patterns of the dotted names below a schema, each with the schema of its value; sections as a whole as well."""
    if prefix:
        yield prefix, schema
    dot = rf"{prefix}\." if prefix else ""
    for option in schema.get("anyOf", schema.get("oneOf", [schema])):
        for name, inner in option.get("properties", {}).items():
            yield from _settings(inner, dot + re.escape(name))
        if isinstance(option.get("additionalProperties"), dict):
            yield from _settings(option["additionalProperties"], dot + ANY_NAME)
        elif option.get("additionalProperties") is True:
            yield dot + ".+", NO_PASSWORD


def _inlined(schema: Any, definitions: dict[str, Schema]) -> Any:
    """The schema with its definitions in place, for the server keeps one schema for all parameters of a flow."""
    if isinstance(schema, list):
        return [_inlined(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    found: Schema = {}
    for name, item in schema.items():
        if name == "properties":
            found[name] = {key: _inlined(value, definitions) for key, value in item.items()}
        elif name not in (*WORDS, "$defs"):
            found[name] = _inlined(item, definitions)
    if found.get("additionalProperties") == {}:
        found["additionalProperties"] = NO_PASSWORD
    if found.get("type") == "string" and "enum" not in found and "const" not in found:
        found |= NO_PASSWORD
    return found


def _any_of(schemas: list[Schema]) -> Schema:
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
