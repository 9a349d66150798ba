"""The exact string that a model continues, rendered from a question in one way for all stages."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from tasks.shared.engines.tokens import load_tokenizer
from tasks.shared.prompts.config import PromptConfig, fill

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


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


class Renderer:
    """Renders prompts for one model, in a style that is settled once."""

    def __init__(self, config: PromptConfig, tokenizer: "PreTrainedTokenizerBase | None" = None) -> None:
        """`tokenizer` is needed for chat prompts alone.

        Raises:
            ValueError: a chat prompt is asked for and the tokenizer, or its chat template, is missing.
        """
        self.config = config
        self._tokenizer = tokenizer
        self.style = self._settle(config, tokenizer)

    @classmethod
    def for_model(cls, config: PromptConfig, model_path: Path) -> "Renderer":
        """A renderer for a model folder; loads the tokenizer only when its chat template is needed."""
        wants_chat = config.style == "chat" or (config.style == "auto" and has_chat_template(model_path))
        if not wants_chat:
            return cls(config)
        return cls(config, load_tokenizer(model_path))

    @staticmethod
    def _settle(
        config: PromptConfig, tokenizer: "PreTrainedTokenizerBase | None"
    ) -> Literal["chat", "plain", "message"]:
        if config.style != "auto":
            if config.style == "chat" and getattr(tokenizer, "chat_template", None) is None:
                raise ValueError(
                    "prompt.style is 'chat', but the model's tokenizer has no chat template; use 'plain' or 'auto'"
                )
            return config.style
        return "chat" if getattr(tokenizer, "chat_template", None) is not None else "plain"

    def plain(self, question: str) -> str:
        """The plain prompt of mid-training, RL and evaluation."""
        return self._finish(plain_text(self.config, question))

    def heuristic(self, heuristic: NamedHeuristic, question: str) -> str:
        """The prompt that asks for a solution by `heuristic`."""
        return self._finish(heuristic_text(self.config, heuristic, question))

    def completion(self, text: str) -> str:
        """`text` as it has to follow a prompt; text that the model wrote itself comes back unchanged."""
        prefix = self.config.completion_prefix
        if self.style != "plain" or text.startswith(prefix):
            return text
        return prefix + text.lstrip()

    def _finish(self, text: str) -> str:
        if self.style == "plain":
            return text + self.config.cue
        if self.style == "message":
            return text
        rendered = self._tokenizer.apply_chat_template(
            messages(self.config, text),
            tokenize=False,
            add_generation_prompt=True,
            **self.config.chat_template_kwargs,
        )
        return str(rendered)


def has_chat_template(model_path: Path) -> bool:
    """Whether a model folder carries a chat template, told from its files without loading the tokenizer."""
    if (model_path / "chat_template.jinja").exists() or (model_path / "chat_template.json").exists():
        return True
    settings = model_path / "tokenizer_config.json"
    return settings.exists() and bool(json.loads(settings.read_text()).get("chat_template"))


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
