"""Rendering of the prompts that ask for the next token: RPT's idea (arXiv 2506.08007), with RMT's budget."""

from collections.abc import Collection
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import Permanent
from tasks.shared.engines.prompt_form import PromptForm
from tasks.shared.engines.tokens import load_tokenizer, to_the_letter
from tasks.shared.next_token.config import PredictionPrompt
from tasks.shared.next_token.reader import Reader
from tasks.shared.prompts.config import PromptConfig, fill
from tasks.shared.prompts.gate import ModelTokens
from tasks.shared.prompts.render import Renderer, tokens_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_FIELD = "recipe.prediction_prompt"


class PredictionRenderer:
    """Renders prediction prompts for one tokenizer, and knows how to read what answers them."""

    def __init__(
        self, config: PredictionPrompt, tokenizer: "PreTrainedTokenizerBase", model: ModelTokens | None = None
    ) -> None:
        """Settle style and tags.

        Raises:
            Permanent: a think tag is not a single token of the tokenizer, or the templates cannot be read alike.
            ValueError: style `chat` and a tokenizer without a chat template.
            Permanent: the chat template does not pass the gate.
        """
        self.config = config
        self.tokenizer = tokenizer
        self.open_id = _tag_id(tokenizer, config.open_tag, "open_tag")
        self.close_id = _tag_id(tokenizer, config.close_tag, "close_tag")
        whole = PromptConfig(
            style=config.style,
            plain_template="{question}",
            cue="",
            chat_template_kwargs=config.chat_template_kwargs,
            date=config.date,
        )
        if model is not None:
            # The prompt names its own tags, and they are meant as tokens.
            model = replace(model, special={*model.special} - {config.open_tag, config.close_tag})
        self._renderer = Renderer(whole, tokenizer, model)
        self.form: PromptForm = self._renderer.form
        """How these prompts are made."""
        self.opens_reasoning: bool = self._opens()
        """Whether prompts end with the opening tag, whitespace aside: reasoning then begins with the completion."""

    @classmethod
    def for_model(
        cls, config: PredictionPrompt, model_path: Path, *, trust_remote_code: bool = False
    ) -> "PredictionRenderer":
        """A renderer for a model folder; `trust_remote_code` runs tokenizer code that ships with it."""
        return cls(config, load_tokenizer(model_path, trust_remote_code=trust_remote_code), tokens_of(model_path))

    def prompt(self, context: str, budget: int = 0) -> str:
        """The exact text that the model sees; a budget of 0 asks for no number of tokens."""
        if budget:
            text = fill(self.config.template, context=context, budget=str(budget))
        else:
            text = fill(self.config.template_without_budget, context=context)
        return self._renderer.plain(text)

    def reader(self, end_ids: Collection[int]) -> Reader:
        """A reader of the completions of these prompts; `end_ids` are the tokens that end one."""
        return Reader(
            open_id=self.open_id,
            close_id=self.close_id,
            end_ids=frozenset(end_ids),
            opened=self.opens_reasoning,
            form=self.config.prediction,
            decode=partial(to_the_letter, self.tokenizer),
        )

    def _opens(self) -> bool:
        prompts = [self.prompt("x", 1).rstrip(), self.prompt("x").rstrip()]
        if any(prompt.endswith(self.config.close_tag) for prompt in prompts):
            raise Permanent(
                f"prediction prompts end with {self.config.close_tag!r}, so the model is told not to reason: "
                f"{prompts[0][-80:]!r}; check {_FIELD}.template and {_FIELD}.chat_template_kwargs (enable_thinking)"
            )
        opens = [prompt.endswith(self.config.open_tag) for prompt in prompts]
        if opens[0] != opens[1]:
            raise Permanent(
                f"one of {_FIELD}.template and {_FIELD}.template_without_budget ends with {self.config.open_tag!r} "
                "and the other does not; end both alike"
            )
        return opens[0]


def _tag_id(tokenizer: "PreTrainedTokenizerBase", tag: str, field: str) -> int:
    ids = tokenizer.encode(tag, add_special_tokens=False)
    if len(ids) != 1 or ids[0] == tokenizer.unk_token_id:
        raise Permanent(
            f"tokenizer {tokenizer.name_or_path}: {tag!r} ({_FIELD}.{field}) is not one token but {len(ids)}, so "
            f"reasoning cannot be told from an answer; set {_FIELD}.open_tag and {_FIELD}.close_tag to the tags that "
            "this model reasons in, take a model whose tokenizer has them, or set think_tags.enabled=true, which adds "
            "them and teaches their form"
        )
    return ids[0]
