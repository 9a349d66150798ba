"""Places as people paste them, and values as programs read them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from tasks.text import without_passwords

if TYPE_CHECKING:
    from tasks.report.models import NamedModel


def from_here(place: str | Path) -> str:
    """A place as seen from the current folder, which is shorter and can be pasted."""
    return str(place).replace(f"{Path.cwd()}/", "")


def model_name(model: "NamedModel", indent: str = "") -> Text:
    """Two lines: label and reference of a model, and the folder of its files."""
    called = f"{model.label}: " if model.label else ""
    return Text.assemble(called, (str(model.ref), "bold cyan"), (f"\n{indent}{from_here(model.path)}", "dim"))


def print_json(value: Any) -> None:
    """Write a value for programs to standard output, as it is but for passwords in addresses."""
    print(without_passwords(json.dumps(value, indent=1, ensure_ascii=False)))
