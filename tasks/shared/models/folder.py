"""What a model folder's own files say of its tokens, read without loading the model."""

import json
from pathlib import Path
from typing import Any

from tasks.errors import Permanent


def embedding_size(folder: Path) -> int | None:
    """Token ids that the config has an embedding for: 0 to this minus 1; None where it does not say."""
    size = _text_config(folder).get("vocab_size")
    return int(size) if size is not None else None


def pads_outside(folder: Path) -> bool:
    """Whether the config's padding id is no row of the embedding, with which transformers builds no model."""
    pad, size = _text_config(folder).get("pad_token_id"), embedding_size(folder)
    return isinstance(pad, int) and (pad < 0 or (size is not None and pad >= size))


def configured_end_ids(folder: Path) -> frozenset[int]:
    """Tokens that end a completion by the generation config, or by the config where there is none."""
    ids: Any = _settings(folder / "generation_config.json").get("eos_token_id")
    if ids is None:
        ids = _text_config(folder).get("eos_token_id")
    return frozenset(ids if isinstance(ids, list) else [] if ids is None else [ids])


def special_tokens(folder: Path) -> frozenset[str]:
    """Texts that the tokenizer reads as tokens with a meaning of their own (end of a turn, begin of a text)."""
    listed = [
        *(_settings(folder / "tokenizer.json").get("added_tokens") or ()),
        *(_settings(folder / "tokenizer_config.json").get("added_tokens_decoder") or {}).values(),
    ]
    return frozenset(str(token["content"]) for token in listed if token.get("special"))


def quantization(folder: Path) -> str:
    """Method that the weights are quantized by, as config.json names it; empty where they are not."""
    settings = _settings(folder / "config.json").get("quantization_config") or {}
    return str(settings.get("quant_method", "unnamed")) if settings else ""


def _text_config(folder: Path) -> dict[str, Any]:
    """The part of the config that is about text, where a model sees or hears too."""
    config = _settings(folder / "config.json")
    return {**config, **(config.get("text_config") or {})}


def _settings(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        return dict(json.loads(path.read_text()))
    except ValueError as error:
        raise Permanent(f"{path} is no JSON object ({error}); fetch the model again") from error
