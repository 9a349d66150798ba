"""YAML that users write: read whole, or refused in a line that says where."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tasks.errors import in_a_line


def parsed_yaml(text: str) -> Any:
    """What a text in YAML says.

    Raises:
        ValueError: that is no YAML, a key stands twice or is no scalar, or a date or number cannot be read.
        RecursionError: it is nested too deeply.
    """
    try:
        return yaml.load(text, _NothingUnsaid)
    except yaml.YAMLError as error:
        raise ValueError(in_a_line(error)) from error


def read_yaml(path: Path, parsed: Callable[[str], Any] = parsed_yaml) -> Any:
    """What a file in YAML says.

    Args:
        parsed: `parsed_yaml`, or one that remembers.

    Raises:
        ValueError: as for `parsed_yaml`, or the file cannot be read or is no UTF-8; the message begins with its path.
        RecursionError: it is nested too deeply.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8: {error}") from error
    try:
        return parsed(text)
    except ValueError as error:
        raise ValueError(f"{path} is not YAML: {error}") from error


class _NothingUnsaid(yaml.SafeLoader):
    """Refuses what YAML would read otherwise than it looks: of a key that stands twice the last one, 010 as eight, and
    1:30 as ninety.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key.value, str):
                raise yaml.constructor.ConstructorError(None, None, "a key is a list or a mapping", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} stands there twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_number(self, node: yaml.ScalarNode) -> int | float:
        """A number that is written as people write one."""
        text = str(node.value)
        if ":" in text or re.match(r"[-+]?0[0-9_]", text):
            raise yaml.constructor.ConstructorError(
                None, None, f"{text} is a number to base 60 or 8; write it in decimals, or in quotes", node.start_mark
            )
        read = self.construct_yaml_float if node.tag.endswith("float") else self.construct_yaml_int
        return read(node)


for _kind in ("int", "float"):
    _NothingUnsaid.add_constructor(f"tag:yaml.org,2002:{_kind}", _NothingUnsaid.construct_number)
