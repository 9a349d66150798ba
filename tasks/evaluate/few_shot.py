"""Prompts with worked examples, as others have published scores with.

A file in `few_shot/` holds a prompt, to the letter, the texts that end a completion, and the benchmarks that it is
for. It takes the place of `prompt` and of the stop texts of `sampling`, so both are known by what is shown.
"""

from functools import cache
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from tasks.config import Frozen
from tasks.errors import did_you_mean
from tasks.yaml_text import read_yaml

FOLDER = Path(__file__).parent / "few_shot"


class FewShot(Frozen):
    """Worked examples before each question."""

    title: str
    benchmarks: tuple[str, ...]
    """Those whose questions the examples are like; others are refused."""
    prompt: dict[str, JsonValue]
    """Fields of `PromptConfig`, in the place of the recipe's."""
    stop: tuple[str, ...]
    """Texts at which a completion ends: a model goes on with a next example of its own."""


@cache
def few_shot(name: str) -> FewShot:
    """The worked examples in the file `few_shot/NAME.yaml`.

    Raises:
        ValueError: there is none of that name.
    """
    known = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    if name not in known:
        raise ValueError(f"no worked examples {name!r}{did_you_mean(name, known) or '.'} There are: {', '.join(known)}")
    return FewShot.model_validate(read_yaml(FOLDER / f"{name}.yaml"))


def with_examples(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings of an evaluation with the prompt and stop texts of their `few_shot`, where they name one.

    Raises:
        ValueError: there are none of that name.
    """
    if not (name := settings.get("few_shot")):
        return settings
    found = few_shot(name)
    return {
        **settings,
        "prompt": _fields(settings.get("prompt")) | found.prompt,
        "sampling": _fields(settings.get("sampling")) | {"stop": list(found.stop)},
    }


def check_benchmarks(name: str, benchmarks: tuple[str, ...]) -> None:
    """Raise ValueError where worked examples are not for one of the benchmarks."""
    made_for = few_shot(name).benchmarks
    if other := [asked for asked in benchmarks if asked not in made_for]:
        raise ValueError(
            f"few_shot={name} is for {', '.join(made_for)}, and not for {other[0]}: evaluate that apart, or leave "
            "few_shot out"
        )


def _fields(section: Any) -> dict[str, Any]:
    """What is set of a section, given as values or as a model."""
    return section.model_dump(exclude_unset=True) if isinstance(section, Frozen) else dict(section or {})
