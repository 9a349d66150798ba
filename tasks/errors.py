"""The error that a retry cannot mend, and the hint at its end."""

import difflib
from collections.abc import Iterable

from pydantic import ValidationError


class Permanent(Exception):
    """An error that a retry cannot mend: bad configuration, bad data, a model that does not fit."""


def did_you_mean(name: str, known: Iterable[str], likeness: float = 0.6) -> str:
    """The end of a message, `; did you mean 'x'?`, where a known name is near; else nothing.

    Args:
        likeness: least ratio of `difflib` for a name to be near, from 0 to 1.
    """
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=likeness)
    return f"; did you mean {near[0]!r}?" if near else ""


OF_THE_WORLD = {
    "tasks", "flows", "botocore", "fsspec", "httpcore", "httpx", "huggingface_hub", "jinja2", "mlflow", "prefect",
    "pyarrow", "requests", "safetensors", "sqlalchemy", "sqlite3", "yaml",
}  # fmt: skip
"""Packages whose own errors are about settings, files, servers and addresses."""


def tells_the_user(error: BaseException) -> bool:
    """True for an error whose message says what to mend; a traceback helps only with the others, which are bugs."""
    return isinstance(error, ValueError | OSError) or type(error).__module__.partition(".")[0] in OF_THE_WORLD


def in_a_line(error: BaseException) -> str:
    """What an error says, its lines joined to one; a parser's, with the line instead of the piece of text there; of
    settings that do not validate, what is wrong with each.
    """
    if isinstance(error, ValidationError):
        said = [(".".join(map(str, item["loc"])), item["msg"].removeprefix("Value error, ")) for item in error.errors()]
        return "; ".join(f"{place}: {message}" if place else message for place, message in said)
    mark = getattr(error, "problem_mark", None)
    text = f"{error.problem} (line {mark.line + 1})" if mark is not None else str(error)  # type: ignore[attr-defined]
    return " ".join(text.split()) or type(error).__name__
