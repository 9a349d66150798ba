"""The error that a retry cannot mend, and the hint at its end."""

import difflib
from collections.abc import Iterable


class Permanent(Exception):
    """An error that a retry cannot mend: bad configuration, bad data, a model that does not fit."""


def did_you_mean(name: str, known: Iterable[str], likeness: float = 0.6) -> str:
    """The end of a message, `; did you mean 'x'?`, where a known name is near; else nothing.

    Args:
        likeness: least ratio of `difflib` for a name to be near, from 0 to 1.
    """
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=likeness)
    return f"; did you mean {near[0]!r}?" if near else ""
