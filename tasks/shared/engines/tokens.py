"""Text to token ids and back, in one way for all engines and scorers."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.shared.engines.protocol import PromptTooLong, Request, Sampling

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_IMPORTING = threading.Lock()
"""transformers loads its parts when they are first asked for, and fails where two threads (arms that run together) ask
at once: the second finds a module half made."""


def load_tokenizer(model_path: Path, *, trust_remote_code: bool = False) -> "PreTrainedTokenizerBase":
    """Tokenizer of a model folder, with a padding token (the end token, where the model has none of its own)."""
    with _IMPORTING:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(model_path, trust_remote_code=trust_remote_code)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def encode_prompts(tokenizer: "PreTrainedTokenizerBase", prompts: Sequence[str]) -> list[list[int]]:
    """Token ids of rendered prompts.

    A chat template writes the begin-of-text token itself; adding it once more would show the model a prompt that it
    never saw in training, so special tokens are added only to prompts that do not begin with one.
    """
    bos = tokenizer.bos_token
    rendered = [bool(bos) and prompt.startswith(bos) for prompt in prompts]
    ids: list[list[int]] = [[] for _ in prompts]
    for add_special in (True, False):
        rows = [row for row, has_bos in enumerate(rendered) if has_bos != add_special]
        if not rows:
            continue
        encoded = tokenizer([prompts[row] for row in rows], add_special_tokens=add_special)
        for row, row_ids in zip(rows, encoded["input_ids"], strict=True):
            ids[row] = row_ids
    return ids


def cut_at_stop(text: str, stop: Sequence[str]) -> tuple[str, bool]:
    """`text` up to the first stop text, and whether there was one."""
    positions = [position for position in (text.find(word) for word in stop) if position >= 0]
    return (text[: min(positions)], True) if positions else (text, False)


def context_length(model_path: Path) -> int | None:
    """Tokens that fit into the model's context by its config; None where it sets no limit."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(model_path)
    text_config = config.get_text_config()
    return getattr(text_config, "max_position_embeddings", None)


def check_room(
    requests: Sequence[Request], ids: Sequence[Sequence[int]], sampling: Sampling, context: int | None
) -> None:
    """Refuse prompts that leave less than `max_new_tokens` of the model's context."""
    if context is None:
        return
    for request, prompt in zip(requests, ids, strict=True):
        if len(prompt) + sampling.max_new_tokens > context:
            raise PromptTooLong(
                f"request {request.key}: a prompt of {len(prompt)} tokens and sampling.max_new_tokens = "
                f"{sampling.max_new_tokens} do not fit into the model's context of {context}; lower "
                f"max_new_tokens or show fewer examples. The prompt begins {request.prompt[:80]!r}"
            )
