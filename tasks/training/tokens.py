"""Token ids of prompts and completions, the same for training, rollouts and inference."""

from collections.abc import Sequence
from typing import Any, Protocol


class Tokenizer(Protocol):
    """The part of a `transformers` tokenizer that is used here."""

    bos_token: str | None
    eos_token: str | None
    eos_token_id: int | None
    pad_token_id: int | None

    def __call__(self, text: Any, *, add_special_tokens: bool) -> Any: ...


def encode_prompts(tokenizer: Tokenizer, prompts: Sequence[str]) -> list[list[int]]:
    """Ids of rendered prompts.

    A chat template already writes the beginning-of-sequence token that some tokenizers also add, so special tokens
    are added only to prompts that do not start with it.
    """
    rendered = bool(tokenizer.bos_token) and all(text.startswith(str(tokenizer.bos_token)) for text in prompts)
    return tokenizer(list(prompts), add_special_tokens=not rendered)["input_ids"]


def encode_completions(tokenizer: Tokenizer, completions: Sequence[str]) -> list[list[int]]:
    """Ids of completions, each closed by the end-of-sequence token."""
    end = str(tokenizer.eos_token)
    closed = [text if text.endswith(end) else text + end for text in completions]
    return tokenizer(closed, add_special_tokens=False)["input_ids"]
