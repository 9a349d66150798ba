"""The exact string that a model continues, rendered from a question in one way for all stages."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tasks.errors import Permanent
from tasks.shared.engines.prompt_form import PromptForm
from tasks.shared.engines.tokens import load_tokenizer
from tasks.shared.models.folder import configured_end_ids, embedding_size, special_tokens
from tasks.shared.prompts.config import PromptConfig
from tasks.shared.prompts.gate import PROBES, Layout, ModelTokens, adds_own_prefix, settle_layout
from tasks.shared.prompts.template import ChatTemplate, TemplateError
from tasks.shared.prompts.under_heuristics import (
    NamedHeuristic,
    heuristic_text,
    heuristic_turns,
    plain_text,
    stop_texts,
)
from tasks.shared.thoughts import unclosed

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

log = logging.getLogger(__name__)


class Renderer:
    """Renders prompts for one model, in a form that is settled and checked once."""

    def __init__(
        self,
        config: PromptConfig,
        tokenizer: "PreTrainedTokenizerBase | None" = None,
        model: ModelTokens | None = None,
    ) -> None:
        """`tokenizer` is needed for chat prompts alone.

        Raises:
            ValueError: a chat prompt is asked for and the tokenizer, or its chat template, is missing; or a system
                message, which no other prompt has a place for.
            Permanent: the chat template does not pass the gate.
        """
        has_template = getattr(tokenizer, "chat_template", None) is not None
        style = config.style if config.style != "auto" else "chat" if has_template else "plain"
        self._check(config, style, has_template)
        self.config = config
        self._template: ChatTemplate | None = None
        self._layout = Layout()
        self.form = PromptForm(style=style)
        """How these prompts are made; whoever reads them has to know."""
        if style == "chat":
            self._template = ChatTemplate(tokenizer, config)
            self._layout = settle_layout(self._template, config.system)
        model = model or ModelTokens()
        self._special = () if style == "message" else sorted(model.special)
        for question in PROBES:
            self.form = self._settled(question, tokenizer, model)

    @classmethod
    def for_model(cls, config: PromptConfig, model_path: Path, *, trust_remote_code: bool = False) -> "Renderer":
        """A renderer for a model folder; loads the tokenizer only when its chat template is needed.

        Args:
            trust_remote_code: run tokenizer code that ships with the folder.
        """
        wants_chat = config.style == "chat" or (config.style == "auto" and has_chat_template(model_path))
        if not wants_chat:
            return cls(config, model=tokens_of(model_path))
        return cls(config, load_tokenizer(model_path, trust_remote_code=trust_remote_code), tokens_of(model_path))

    @property
    def style(self) -> Literal["chat", "plain", "message"]:
        """The style that was settled."""
        return self.form.style

    def plain(self, question: str) -> str:
        """The plain prompt of mid-training, RL and evaluation."""
        self._warn_of_marks(question)
        return self._finish(plain_text(self.config, question))

    def heuristic(self, heuristic: NamedHeuristic, question: str) -> str:
        """The prompt that asks for a solution by `heuristic`."""
        self._warn_of_marks(question)
        if self.style == "chat":
            return self._whole(*heuristic_turns(self.config, heuristic, question))
        return self._finish(heuristic_text(self.config, heuristic, question))

    def stops(self, heuristics: Sequence[NamedHeuristic]) -> tuple[str, ...]:
        """Texts that end a solution under these heuristics, beside those that are asked for."""
        as_turns = self.style == "chat" and self.config.examples_as == "turns"
        return () if as_turns else stop_texts(self.config, heuristics)

    def completion(self, text: str) -> str:
        """`text` as it has to follow a prompt; text that the model wrote itself comes back unchanged."""
        prefix = self.config.completion_prefix
        if self.style != "plain" or text.startswith(prefix):
            return text
        return prefix + text.lstrip()

    def _warn_of_marks(self, question: str) -> None:
        """Say once that a question holds what the model reads as a mark and not as text.

        It stays: `<s>` may be a question's own HTML, and other tokens for the same text would be no model's habit.
        """
        if found := [mark for mark in self._special if mark in question]:
            log.warning(
                "the model reads %s in the question %r as a token of its own, not as text; other questions may hold "
                "such marks too: mend them where the tokens are not meant",
                ", ".join(found),
                question[:80],
            )
            self._special = ()

    def _settled(self, question: str, tokenizer: "PreTrainedTokenizerBase | None", model: ModelTokens) -> PromptForm:
        """The whole form, as the prompt of one made-up question shows it."""
        prompt = self.plain(question)
        # What a server opens with a template of its own is not known here.
        opened = "" if self.style == "message" else unclosed(prompt.rpartition(question)[2])
        adds = self._template is None or adds_own_prefix(prompt, self._template, tokenizer, model)
        return PromptForm(style=self.style, adds_prefix=adds, opened_thought=opened)

    @staticmethod
    def _check(config: PromptConfig, style: str, has_template: bool) -> None:
        if style == "chat" and not has_template:
            raise ValueError(
                "prompt.style is 'chat', but the model's tokenizer has no chat template; use 'plain' or 'auto'"
            )
        if style != "chat" and config.system:
            raise ValueError(
                f"prompt.system={config.system[:80]!r} has no place in prompts of style {style!r}; empty it and put "
                "its words into prompt.plain_template and prompt.heuristic_template"
            )

    def _finish(self, text: str) -> str:
        if self.style == "plain":
            return text + self.config.cue
        if self.style == "message":
            return text
        return self._whole(text)

    def _whole(self, *turns: str) -> str:
        """The text that the chat template renders, in which every turn stands to the letter, outer spaces aside."""
        assert self._template is not None
        name, advice = self._template.name, "mend the text or the template, or set prompt.style=plain"
        if len(turns) > 1:
            advice = "set prompt.examples_as=text"
        try:
            rendered = self._template.render(self._layout.messages(self.config.system, *turns))
        except TemplateError as error:
            raise Permanent(f"the chat template of {name} raised {error} on {turns[-1][-80:]!r}; {advice}") from error
        shown = [("the question", turns[-1]), ("prompt.system", self.config.system)]
        shown += [("a worked example", text) for text in turns[:-1]]
        for what, wanted in shown:
            if wanted.strip() not in rendered:
                raise Permanent(
                    f"the chat template of {name} changes {what}: {wanted[-80:]!r} does not stand in "
                    f"{rendered[-200:]!r}; {advice}"
                )
        return rendered


def tokens_of(model_path: Path) -> ModelTokens:
    """End tokens, embedding and special tokens of a model folder."""
    return ModelTokens(configured_end_ids(model_path), embedding_size(model_path), special_tokens(model_path))


def has_chat_template(model_path: Path) -> bool:
    """Whether a model folder carries a chat template, told from its files without loading the tokenizer."""
    if (model_path / "chat_template.jinja").exists() or (model_path / "chat_template.json").exists():
        return True
    settings = model_path / "tokenizer_config.json"
    return settings.exists() and bool(json.loads(settings.read_text()).get("chat_template"))
