"""Documents whose characters span tokens, and made-up entropies of their tokens."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.support.thinking_tokenizer import thinking_tokenizer

WORDS = (" the", " größe", "Q: ", "字", " of")
TEXTS = (
    "Q: the sum of 12 and 30, the größe of 字 and 语 is 42",
    "all of the plain words of this text are letters, and the end is near",
    "emoji 👩‍👩‍👧 and ﷽ and naïve façade of größe 字字字",
    "12+30=42 12+31=43 12+32=44 the end of the numbers",
)


def entropy_rows(texts: Sequence[str], *, given_tokens: int = 3, context_tokens: int = 24) -> list[dict[str, Any]]:
    """Rows of an entropy table with made-up entropies between 0 and 3 nats; late positions have a moved context."""
    tokenizer = thinking_tokenizer(words=WORDS)
    rows = []
    for number, text in enumerate(texts):
        tokens = np.array(tokenizer.encode(text, add_special_tokens=False), dtype=np.int32)
        entropy = np.random.default_rng(number).uniform(0, 3, len(tokens)).astype(np.float32)
        entropy[0] = np.nan
        places = np.arange(len(tokens))
        rows.append(
            {
                "document_id": f"{number:04d}",
                "split": "train",
                "given_tokens": given_tokens,
                "tokens": tokens,
                "entropy": entropy,
                "log_prob": -entropy,
                "top_token": np.zeros(len(tokens), np.int32),
                "context_start": np.maximum(0, (places - context_tokens) // 8 * 8).astype(np.int32),
            }
        )
    return rows
