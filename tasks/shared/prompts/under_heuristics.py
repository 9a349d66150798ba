"""What a model is told of a heuristic: its instruction, and worked examples as turns of the chat or as text."""

import re
from collections.abc import Sequence
from typing import Protocol

from tasks.shared.prompts.config import PromptConfig, fill
from tasks.shared.verification.answers.boxes import boxes_of

EXAMPLES = "{examples}"


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
    """The prompt under a heuristic as one text: instruction and worked examples first, the question last.

    A heuristic without a name is the control that uses none: it gets the plain prompt.
    """
    if not heuristic.name:
        return plain_text(config, question)
    examples = "".join(
        fill(config.example_template, question=example.question, solution=stated_as_asked(config, example.solution))
        for example in heuristic.examples
    )
    return _filled(config.heuristic_template, config, heuristic, question, examples)


def heuristic_turns(config: PromptConfig, heuristic: NamedHeuristic, question: str) -> tuple[str, ...]:
    """The prompt under a heuristic as turns, of the user and of the assistant in turn, the user's last.

    Each example is a turn of the user, what stands behind `{examples}` in the template, and one of the assistant. The
    first turn has what stands before as well. One turn, the whole text, where there is nothing to part.
    """
    _, placeholder, behind = config.heuristic_template.partition(EXAMPLES)
    examples = heuristic.examples if heuristic.name else ()
    if config.examples_as == "text" or not examples or not placeholder or "{question}" not in behind:
        return (heuristic_text(config, heuristic, question),)
    turns: list[str] = []
    template = config.heuristic_template
    for example in examples:
        turns += [_filled(template, config, heuristic, example.question, ""), stated_as_asked(config, example.solution)]
        template = behind
    return (*turns, _filled(behind, config, heuristic, question, ""))


def stop_texts(config: PromptConfig, heuristics: Sequence[NamedHeuristic]) -> tuple[str, ...]:
    """Texts that end a solution where examples are shown as text: with them a model begins a next problem.

    It is what stands between one example's solution and the next one's question: "\\n\\nProblem:" by default.
    """
    if EXAMPLES not in config.heuristic_template or not any(item.name and item.examples for item in heuristics):
        return ()
    before, _, after = config.example_template.partition("{question}")
    text = (after.rpartition("{solution}")[2] + before).rstrip()
    return (text,) if text.strip() else ()


def stated_as_asked(config: PromptConfig, solution: str) -> str:
    """A worked solution whose answer is stated in the form that the prompt asks for: bare where no box is named."""
    asked = (config.answer_instruction, config.system, config.heuristic_template, config.plain_template)
    if not config.answer_instruction or any(re.search(r"\bbox", text, re.IGNORECASE) for text in asked):
        return solution
    for box in reversed(boxes_of(solution)):
        solution = solution[: box.start] + box.content + solution[box.end :]
    return solution


def _filled(template: str, config: PromptConfig, heuristic: NamedHeuristic, question: str, examples: str) -> str:
    return fill(
        template,
        name=heuristic.name,
        instruction=heuristic.instruction,
        examples=examples,
        answer_instruction=config.answer_instruction,
        question=question,
    )
