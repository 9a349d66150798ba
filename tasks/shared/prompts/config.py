"""Form of a prompt; part of the identity of every stage that shows one to a model."""

import re
from datetime import date
from typing import Any, Literal

from pydantic import Field, JsonValue, ValidationInfo, field_validator, model_validator

from tasks.config import Frozen
from tasks.errors import did_you_mean
from tasks.shared.thoughts import unclosed

Style = Literal["auto", "chat", "plain", "message"]

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
PLACEHOLDERS = {
    "plain_template": ("question", "answer_instruction"),
    "heuristic_template": ("name", "instruction", "examples", "answer_instruction", "question"),
    "example_template": ("question", "solution"),
}
"""What is filled into each template of `PromptConfig`."""


def fill(template: str, **values: str) -> str:
    """Put `values` in the place of `{name}`, once; other braces (`\\boxed{...}`) and braces in values stay."""
    return _PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), template)


class TemplateConfig(Frozen):
    """What a chat template is given beside the messages."""

    chat_template_kwargs: dict[str, JsonValue] = Field(default_factory=dict)
    """Arguments for the chat template, e.g. `{"enable_thinking": false}`."""
    date: str = "2024-07-26"
    """The day that a template is told which writes today's date (Llama 3.1 and later, Mistral Small): prompts, and so
    samples and scores, must not change overnight. The default is the one that Llama's own template falls back to."""

    @field_validator("date", mode="before")
    @classmethod
    def _is_a_day(cls, value: Any) -> str:
        try:
            return date.fromisoformat(str(value)).isoformat()
        except ValueError as error:
            raise ValueError(f"{value!r} is no date; write it as 2024-07-26") from error


class PromptConfig(TemplateConfig):
    """Templates of the plain prompt and of a prompt under a heuristic.

    Fixed text comes first and the question last, so that all questions of one heuristic share a prefix that engines
    compute once. Mid-training, RL and evaluation use the plain prompt of the same templates. The wording is ours: the
    paper (arXiv 2605.08472) does not publish its prompts.
    """

    style: Style = "auto"
    """`chat`: the chat template around one user message. `plain`: text to be continued, ending in `cue`. `auto`:
    `chat` where the tokenizer has a template, else `plain`. `message`: the bare user message, for an OpenAI-compatible
    server that applies a template of its own."""
    system: str = ""
    """System message of a chat prompt; empty sends none."""
    answer_instruction: str = "Reason step by step and put the final answer in \\boxed{}."
    """Instruction on how to state the final answer; `{answer_instruction}` in the templates. Worked examples state
    theirs as it asks: bare (`The answer is 18.`), which small models know, where no text of the prompt names a box."""
    plain_template: str = "Solve the problem. {answer_instruction}\n\nProblem: {question}"
    """Prompt without a heuristic. Placeholders: question, answer_instruction."""
    heuristic_template: str = (
        "Solve the problem with this heuristic: {name}. {instruction}\n{answer_instruction}\n\n"
        "{examples}Problem: {question}"
    )
    """Prompt under a heuristic. Placeholders: name, instruction, examples, answer_instruction, question."""
    example_template: str = "Problem: {question}\nSolution: {solution}\n\n"
    """One worked example inside `{examples}`. Placeholders: question, solution."""
    examples_as: Literal["turns", "text"] = "turns"
    """Worked examples of a `chat` prompt: turns of user and assistant, behind which a model answers one question and
    ends, or text inside one message, behind which small models go on with a next problem of their own."""
    cue: str = "\nSolution:"
    """End of a prompt of style `plain`."""
    completion_prefix: str = " "
    """Beginning of a completion of a `plain` prompt, where the text did not come from the model itself."""

    @field_validator("plain_template", "heuristic_template", "example_template")
    @classmethod
    def _has_one_question(cls, value: str) -> str:
        if value.count("{question}") != 1:
            raise ValueError(f"{value!r} must contain {{question}} exactly once")
        return value

    @field_validator(*PLACEHOLDERS)
    @classmethod
    def _fills_every_placeholder(cls, value: str, info: ValidationInfo) -> str:
        """What is no placeholder of a template is shown to the model as it stands, as `{x}` in a formula has to be."""
        known, elsewhere = PLACEHOLDERS[str(info.field_name)], set().union(*PLACEHOLDERS.values())
        for name in re.findall(r"\{(\w+)\}", value):
            near = did_you_mean(name.lower(), known, likeness=0.75)
            if name not in known and (near or name in elsewhere):
                raise ValueError(f"{{{name}}} is no placeholder here{near}; there are: {', '.join(known)}")
        return value

    @field_validator("heuristic_template")
    @classmethod
    def _names_the_heuristic(cls, value: str) -> str:
        if "{name}" not in value and "{instruction}" not in value:
            raise ValueError(f"{value!r} must contain {{name}} or {{instruction}}, or all heuristics look alike")
        return value

    @model_validator(mode="after")
    def _templates_end_alike(self) -> "PromptConfig":
        plain, named = (text.rpartition("{question}")[2] for text in (self.plain_template, self.heuristic_template))
        if unclosed(plain) != unclosed(named):
            raise ValueError(
                f"plain_template ends with {plain!r} and heuristic_template with {named!r}: one opens a thought and "
                "the other does not, so that their completions cannot be read alike; end both alike"
            )
        return self
