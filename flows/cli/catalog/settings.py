"""`midtrain settings` and `midtrain recipes`: what can be set, and what ships."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from flows.cli.output import print_json
from tasks.recipe.base import Recipe
from tasks.recipe.listing import settings
from tasks.recipe.loading import DEFAULTS, load, names, place_of
from tasks.recipe.schema import recipe_schema

SHOWN_CHARS = 60
"""Most that is shown of a default; arms are a page."""


def show_settings(section: str, as_json: bool, console: Console) -> None:
    """Print the settings of a section, or all.

    Raises:
        RecipeError: there is no such section or setting.
    """
    found = settings(section)
    if as_json:
        return print_json([asdict(item) for item in found])
    for item in found:
        value = json.dumps(item.default, ensure_ascii=False)
        value = value if len(value) <= SHOWN_CHARS else f"{value[:SHOWN_CHARS]}..."
        notes = [item.type, item.source, f"{item.methods[0]} only" if len(item.methods) == 1 else ""]
        console.print(Text.assemble((item.name, "bold"), f" = {value}  ", ("; ".join(filter(None, notes)), "dim")))
        if item.text:
            console.print(_indented(item.text))


def show_recipes(as_json: bool, console: Console) -> None:
    """Print the recipes that ship, with method, device, arms and purpose."""
    recipes = [_about(name) for name in (*names(), DEFAULTS)]
    if as_json:
        return print_json(recipes)
    for item in recipes:
        notes = [item["method"], item["sized_for"], f"arms {', '.join(item['arms'])}"]
        console.print(Text.assemble((item["name"], "bold"), "  ", ("; ".join(filter(None, notes)), "dim")))
        console.print(_indented(item["description"]))


def _indented(text: str) -> Padding:
    return Padding(Text(text), (0, 0, 0, 4), expand=False)


def _about(name: str) -> dict[str, Any]:
    recipe = load(Recipe, name)
    about = recipe.description or "No file: every setting at its default, for a model of your own."
    place = "" if name == DEFAULTS else str(place_of(name))
    own = {"method": recipe.method, "sized_for": recipe.sized_for, "arms": list(recipe.arms)}
    return {"name": name, **own, "base_model": recipe.model.source, "description": about, "path": place}


def write_schema(file: Path, console: Console) -> None:
    """Write the JSON schema of recipes for editors; the file may be one of an earlier version."""
    if not file.parent.is_dir() or file.is_dir():
        raise ValueError(f"--schema {file}: no file can be written there; give a file in a folder that is there")
    file.write_text(json.dumps(recipe_schema(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    console.print(f"Written: {file}. As first line of a recipe: # yaml-language-server: $schema={file}", soft_wrap=True)
