"""Digest that tells whether two models read text as the same tokens."""

import hashlib
import json
from pathlib import Path
from typing import Any

from tasks.errors import Permanent

_FILES = (("vocab.json", "merges.txt"), ("tokenizer.model",), ("spiece.model",), ("vocab.txt",))
"""Files with vocabulary and merges in a folder without tokenizer.json, in order of preference."""


def tokenizer_digest(folder: Path) -> str:
    """SHA-256 of the vocabulary and the merges of a model folder's tokenizer.

    Left out is what does not touch plain text or changes when a tokenizer is saved again: added tokens (think tags,
    chat marks, names), templates, padding. Two models with the same digest give documents the same token ids.

    Raises:
        Permanent: the folder holds no tokenizer that can be read.
    """
    path = Path(folder) / "tokenizer.json"
    if path.exists():
        try:
            return _of_json(json.loads(path.read_text()))
        except (ValueError, KeyError, TypeError) as error:
            raise Permanent(f"{path}: not a tokenizer ({type(error).__name__}: {error})") from error
    for names in _FILES:
        files = [Path(folder) / name for name in names]
        if all(file.exists() for file in files):
            return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()
    raise Permanent(f"{folder}: no tokenizer.json, vocab.json with merges.txt, or tokenizer.model")


def _of_json(tokenizer: dict[str, Any]) -> str:
    model = tokenizer["model"]
    added = {token["content"] for token in tokenizer.get("added_tokens") or ()}
    vocabulary = model["vocab"]
    if isinstance(vocabulary, dict):
        pieces: list[Any] = sorted([number, piece] for piece, number in vocabulary.items() if piece not in added)
    else:
        pieces = [[number, *entry] for number, entry in enumerate(vocabulary) if entry[0] not in added]
    # Older files write a merge as "a b", newer ones as ["a", "b"].
    merges = [pair.split(" ") if isinstance(pair, str) else list(pair) for pair in model.get("merges") or ()]
    text = json.dumps([model.get("type"), pieces, merges], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
