"""Places as people paste them, and values as programs read them."""

import json
from pathlib import Path
from typing import Any

from tasks.text import without_passwords


def from_here(place: str | Path) -> str:
    """A place as seen from the current folder, which is shorter and can be pasted."""
    return str(place).replace(f"{Path.cwd()}/", "")


def print_json(value: Any) -> None:
    """Write a value for programs to standard output, as it is but for passwords in addresses."""
    print(without_passwords(json.dumps(value, indent=1, ensure_ascii=False)))
