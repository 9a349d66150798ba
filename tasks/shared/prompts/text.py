"""The words of a prompt, before any chat template: pure text work."""

from collections.abc import Sequence
from typing import Protocol

from tasks.shared.prompts.config import PromptConfig, fill


class WorkedExample(Protocol):
    """A question with its solution, as shown in a prompt."""

    @property
    def question(self) -> str:
        """The question as it is shown."""
        ...

    @property
    def solution(self) -> str:
        """The solution as it is shown."""
        ...


class NamedHeuristic(Protocol):
    """Fields of a heuristic that a prompt needs; `tasks.generate.heuristics.Heuristic` is one."""

    @property
    def name(self) -> str:
        """Name in the prompt; empty for the control without a heuristic."""
        ...

    @property
    def instruction(self) -> str:
        """Instruction in the prompt."""
        ...

    @property
    def examples(self) -> Sequence[WorkedExample]:
        """Worked examples in the order in which they are shown."""
        ...


def plain_text(config: PromptConfig, question: str) -> str:
    """The plain prompt, which the model is trained and evaluated on."""
    return fill(config.plain_template, question=question, answer_instruction=config.answer_instruction)


def heuristic_text(config: PromptConfig, heuristic: NamedHeuristic, question: str) -> str:
    """The prompt under a heuristic: instruction and worked examples first, the question last.

    A heuristic without a name is the control that uses none: it gets the plain prompt.
    """
    if not heuristic.name:
        return plain_text(config, question)
    examples = "".join(
        fill(config.example_template, question=example.question, solution=example.solution)
        for example in heuristic.examples
    )
    return fill(
        config.heuristic_template,
        name=heuristic.name,
        instruction=heuristic.instruction,
        examples=examples,
        answer_instruction=config.answer_instruction,
        question=question,
    )


def messages(config: PromptConfig, text: str) -> list[dict[str, str]]:
    """Chat messages around one user text."""
    system = [{"role": "system", "content": config.system}] if config.system else []
    return [*system, {"role": "user", "content": text}]
