"""Unit tests as the gold answer: what a publisher's row holds becomes one text that the sandbox's judge can run."""

import ast
from collections.abc import Iterable, Mapping
from typing import Any

from tasks.config import Frozen
from tasks.shared.sandbox.unit_tests import UnitTests
from tasks.shared.sources.paths import look_up
from tasks.shared.sources.values import UnusableValue, check_text


class UnitTestFields(Frozen):
    """Paths of what belongs to the unit tests, apart from the tests themselves, which `FieldMapping.answer` names."""

    setup: str = ""
    """Python that runs before the tests."""
    prelude: str = ""
    """Python that runs before the answer and before the tests: imports, helpers, the signature."""
    entry_point: str = ""
    """Name of the function that is tested as `check(function)`."""
    reference: str = ""
    """A right answer, where `entry_point` is empty: the names that it defines and the tests use are those that an
    answer has to define, and what it imports and they use is imported for them. It is kept nowhere."""


def gold_tests(row: Mapping[str, Any], tests: Any, fields: UnitTestFields) -> str:
    """The gold answer of a row whose field of tests, a text or a list of texts, is `tests`.

    Raises:
        MissingField: the row lacks a field.
        UnusableValue: tests or reference are no Python, or the reference defines nothing that they use.
    """
    lines = [tests] if isinstance(tests, str) else list(tests) if isinstance(tests, list | tuple) else []
    if not lines or not all(isinstance(line, str) for line in lines):
        raise UnusableValue(f"is {type(tests).__name__}, no text and no list of texts; map the field with the tests")
    setup = [text for path in (fields.setup,) if path and (text := str(look_up(row, path)))]
    prelude = str(look_up(row, fields.prelude)) if fields.prelude else ""
    if fields.entry_point:
        names = [str(look_up(row, fields.entry_point))]
        lines.append(f"check({names[0]})")
    else:
        reference = _parsed(str(look_up(row, fields.reference)), "reference")
        used = _names(_parsed("\n".join([*setup, *lines]), "tests"))
        names = [name for name in _defined(reference) if name in used]
        setup = [*_imports(reference, used - set(names)), *setup]
    if not names:
        raise UnusableValue("uses no name that the reference answer defines")
    text = "\n".join([*setup, *lines])
    _parsed(text, "tests")
    check_text(text + prelude)
    return UnitTests(unit_tests=text, entry_points=tuple(names), prelude=prelude).model_dump_json()


def _parsed(text: str, what: str) -> ast.Module:
    try:
        return ast.parse(text.replace("\r\n", "\n"))
    except (SyntaxError, ValueError) as error:
        raise UnusableValue(f"is no Python ({what}: {error})") from error


def _names(module: ast.Module) -> set[str]:
    return {node.id for node in ast.walk(module) if isinstance(node, ast.Name)}


def _defined(module: ast.Module) -> Iterable[str]:
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def _imports(module: ast.Module, used: set[str]) -> Iterable[str]:
    for node in module.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
            if names & used or "*" in names:
                yield ast.unparse(node)
