"""One line of the doctor: what was looked at, how it stands, and what to do about it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from tasks.errors import in_a_line

Numbers = Mapping[str, float]


@dataclass(frozen=True)
class Finding:
    """Verdict on one thing."""

    name: str
    verdict: Literal["ok", "FAIL", "skipped"]
    detail: str
    remedy: str = ""
    """What to do where it fails."""
    numbers: Numbers = field(default_factory=dict)
    """Measured numbers, with their units in their names."""


class NothingToLookAt(Exception):
    """There is nothing of that kind on this machine, or in its settings."""


class Unfit(Exception):
    """Something is not as it has to be."""

    def __init__(self, detail: str, remedy: str) -> None:
        super().__init__(detail)
        self.remedy = remedy


Seen = str | tuple[str, Numbers]
"""What a look that finds nothing wrong has to say, with numbers where it measured any."""


def look(name: str, check: Callable[[], Seen], remedy: str) -> Finding:
    """The finding of one check; `remedy` is for errors that bring none of their own."""
    try:
        seen = check()
    except NothingToLookAt as reason:
        return Finding(name, "skipped", str(reason))
    except Exception as error:  # whatever a library raises is what is wrong
        return Finding(name, "FAIL", in_a_line(error), getattr(error, "remedy", remedy))
    detail, numbers = (seen, {}) if isinstance(seen, str) else seen
    return Finding(name, "ok", detail, numbers=numbers)
