"""Prompts with worked examples, as others have published scores with.

A file in `few_shot/` holds a prompt, to the letter, the texts that end a completion, and the benchmarks that it is for.
"""

from functools import cache
from pathlib import Path

from pydantic import JsonValue

from tasks.config import Frozen
from tasks.errors import did_you_mean
from tasks.shared.prompts.config import PromptConfig
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

    def shown_in(self, prompt: PromptConfig) -> PromptConfig:
        """A prompt with these fields in the place of its own."""
        return PromptConfig.model_validate(prompt.model_dump() | self.prompt)


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


def check_benchmarks(name: str, benchmarks: tuple[str, ...]) -> None:
    """Raise ValueError where worked examples are not for one of the benchmarks."""
    made_for = few_shot(name).benchmarks
    if other := [asked for asked in benchmarks if asked not in made_for]:
        raise ValueError(
            f"few_shot={name} is for {', '.join(made_for)}, and not for {other[0]}: evaluate that apart, or leave "
            "few_shot out"
        )
