"""Small corpora and a model's answers computed the plain way."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from tasks.entropy.config import EntropyConfig
from tasks.entropy.encoding import Encoded
from tasks.shared.tables.parquet import GROUP_ROWS, write_parquet
from tasks.texts.rows import document_id
from tasks.texts.schema import EVALUATION_FILE, TEXTS, TRAIN_FILE

WORDS = "Ann has three pens and buys five more, so how many are left? é 😀 12+7=19.\n".split(" ")


def texts(count: int, seed: int = 0, longest: int = 40) -> list[str]:
    """Distinct texts of very different length."""
    rng = random.Random(seed)
    return [f"{seed}.{index} " + " ".join(rng.choices(WORDS, k=rng.randint(1, longest))) for index in range(count)]


def document_row(text: str, given_chars: int = 0) -> dict[str, Any]:
    """A row of a texts table."""
    return {
        "document_id": document_id(text, given_chars),
        "text": text,
        "given_chars": given_chars,
        "source": "custom",
        "meta": "{}",
    }


def write_texts(
    folder: Path, train: Sequence[str], evaluation: Sequence[str], given_chars: int = 0, group_rows: int = GROUP_ROWS
) -> Path:
    """A texts artifact."""
    for name, found in ((TRAIN_FILE, train), (EVALUATION_FILE, evaluation)):
        rows = sorted((document_row(text, given_chars) for text in found), key=lambda row: row["document_id"])
        write_parquet(rows, folder / name, TEXTS, sorted_by=("document_id",), group_rows=group_rows)
    return folder


def encoded(lengths: Sequence[int], vocabulary: int, seed: int = 0) -> list[Encoded]:
    """Documents of random tokens."""
    rng = np.random.default_rng(seed)
    return [
        Encoded(f"{index:04d}", "train", 0, rng.integers(2, vocabulary, length, dtype=np.int32))
        for index, length in enumerate(lengths)
    ]


def load(folder: Path) -> PreTrainedModel:
    """A model for evaluation, in float32."""
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


@torch.no_grad()
def plainly(
    model: PreTrainedModel, document: Encoded, starts: Sequence[int], config: EntropyConfig
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Entropy, log-probability and argmax of each position from 1, one forward pass and float64 softmax for each."""
    found = []
    for position in range(1, len(document.tokens)):
        context = torch.from_numpy(document.tokens[starts[position] : position].astype(np.int64))[None]
        logits = model(input_ids=context).logits[0, -1].double()
        every = torch.log_softmax(logits, -1)
        kept = torch.log_softmax(logits.topk(config.top_k).values, -1) if config.top_k else every
        entropy = -(kept.exp() * kept).sum()
        found.append((entropy.item(), every[int(document.tokens[position])].item(), int(every.argmax())))
    entropy, log_prob, top = zip(*found, strict=True)
    return np.array(entropy), np.array(log_prob), np.array(top)
