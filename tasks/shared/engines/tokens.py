"""Text to token ids and back, in one way for all engines, trainers and scorers."""

import threading
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import Permanent
from tasks.shared.engines.protocol import PromptTooLong, Request, Sampling
from tasks.shared.models.folder import embedding_size
from tasks.spine.stage.imports import UNUSED_BY_TRANSFORMERS, lean_imports

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_IMPORTING = threading.Lock()
"""transformers loads its parts when they are first asked for, and fails where two threads (arms that run together) ask
at once: the second finds a module half made."""


def load_tokenizer(model_path: Path, *, trust_remote_code: bool = False) -> "PreTrainedTokenizerBase":
    """Tokenizer of a model folder, with a padding token inside the model's embedding.

    Where its own is missing or lies outside (added to the tokenizer and not to the model), the end token pads, or the
    first token. Padding is masked everywhere, so that any token will do.
    """
    with _IMPORTING:
        with lean_imports(*UNUSED_BY_TRANSFORMERS):
            from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(model_path, trust_remote_code=trust_remote_code)
    size = embedding_size(model_path)
    inside = [
        token
        for token in (tokenizer.pad_token_id, tokenizer.eos_token_id, 0)
        if token is not None and 0 <= token and (size is None or token < size)
    ]
    if tokenizer.pad_token_id != inside[0]:
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(inside[0])
    return tokenizer


def own_prefix(tokenizer: "PreTrainedTokenizerBase") -> list[int]:
    """Tokens that a tokenizer puts before every text, such as begin of text; what it puts behind is no part of it."""
    probe = "x"
    bare: list[int] = tokenizer(probe, add_special_tokens=False)["input_ids"]
    whole: list[int] = tokenizer(probe)["input_ids"]
    for start in range(len(whole) - len(bare) + 1):
        if whole[start : start + len(bare)] == bare:
            return whole[:start]
    raise Permanent(
        f"tokenizer {tokenizer.name_or_path}: {probe!r} has the ids {bare} alone and {whole} with special tokens, "
        "which do not hold the former; the post_processor in tokenizer.json has to keep the text's own tokens"
    )


def encode_prompts(
    tokenizer: "PreTrainedTokenizerBase", prompts: Sequence[str], *, adds_prefix: bool = True
) -> list[list[int]]:
    """Token ids of rendered prompts: the tokenizer's own prefix once, and nothing behind the text.

    Args:
        adds_prefix: put the prefix before the text, as `PromptForm.adds_prefix` says; the text itself is not asked, as
            a question may begin with the same characters.

    Raises:
        Permanent: a prompt ends with the end token, so that a model would go on with another text.
    """
    if not prompts:
        return []
    prefix = own_prefix(tokenizer) if adds_prefix else []
    ids = tokenizer(list(prompts), add_special_tokens=False)["input_ids"]
    for prompt, row in zip(prompts, ids, strict=True):
        if row and row[-1] == tokenizer.eos_token_id:
            raise Permanent(
                f"a prompt ends with the end token {tokenizer.eos_token!r}, behind which a model begins another text: "
                f"{prompt[-80:]!r}; mend the question, or let prompt.cue or the chat template open the answer"
            )
    return [[*prefix, *row] for row in ids]


def decode_completion(tokenizer: "PreTrainedTokenizerBase", ids: Sequence[int], end_ids: Collection[int]) -> str:
    """Text of a completion as it was written, special tokens included; the end token alone is cut off.

    Special tokens may carry a meaning (`<think>`, channel marks): without them a thought reads as an answer.
    """
    return to_the_letter(tokenizer, ids[:-1] if len(ids) and ids[-1] in end_ids else ids)


def to_the_letter(tokenizer: "PreTrainedTokenizerBase", ids: Sequence[int]) -> str:
    """Text of tokens, special ones included, without the clean-up of spaces that some tokenizers ask for."""
    text: str = tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return text


def check_inside(tokenizer: "PreTrainedTokenizerBase", ids: Iterable[Sequence[int]], size: int | None) -> None:
    """Refuse tokens that the model has no embedding for.

    Args:
        size: rows of the embedding; None leaves it unchecked.

    Raises:
        Permanent: a token was added to the tokenizer and not to the model.
    """
    if size is None:
        return
    outside = sorted({token for row in ids if max(row, default=0) >= size for token in row if token >= size})
    if outside:
        shown = ", ".join(f"{tokenizer.convert_ids_to_tokens(token)!r} ({token})" for token in outside[:5])
        raise Permanent(
            f"the tokenizer writes tokens that the model's embedding of {size} rows does not have: {shown}; take a "
            "model whose embedding was resized for them, or a prompt without them (prompt.style=plain)"
        )


def cut_at_stop(text: str, stop: Sequence[str]) -> tuple[str, bool]:
    """`text` up to the first stop text, and whether there was one."""
    positions = [position for position in (text.find(word) for word in stop) if position >= 0]
    return (text[: min(positions)], True) if positions else (text, False)


def context_length(model_path: Path, *, trust_remote_code: bool = False) -> int | None:
    """Tokens that fit into the model's context by its config; None where it sets no limit."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(model_path, trust_remote_code=trust_remote_code)
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
