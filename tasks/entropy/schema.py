"""The table that the entropy room writes."""

import pyarrow as pa

from tasks.shared.tables.parquet import Weight

ENTROPY_FILE = "entropy.parquet"
PLOT_FILE = "plots/entropy.png"


ENTROPY = pa.schema(
    [
        pa.field("document_id", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("given_tokens", pa.int32(), nullable=False),
        pa.field("tokens", pa.list_(pa.int32()), nullable=False),
        pa.field("entropy", pa.list_(pa.float32()), nullable=False),
        pa.field("log_prob", pa.list_(pa.float32()), nullable=False),
        pa.field("top_token", pa.list_(pa.int32()), nullable=False),
        pa.field("context_start", pa.list_(pa.int32()), nullable=False),
    ]
)
"""A row per document, sorted by (`split`, `document_id`); all lists are as long as the document.

`entropy[i]` (nats), `log_prob[i]` (of the true token) and `top_token[i]` (the likeliest) are of the distribution that
predicts `tokens[i]` from `tokens[context_start[i]:i]`. Nothing stands before position 0: NaN, NaN and -1 there.
`given_tokens` leading tokens hold a given character. Tokens are the tokenizer's own, without any added special token.
"""

ORDER = ("split", "document_id")

GROUP = Weight(lambda row: len(row["tokens"]), 1 << 18)
"""Bound on a row group: tokens of its documents."""
