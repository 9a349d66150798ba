"""The table that prediction writes: a row for every prediction."""

import pyarrow as pa

PREDICTIONS_FILE = "predictions.parquet"
SCORES_FILE = "scores.json"

DIRECT, REASONING = "direct", "reasoning"
MODES = (DIRECT, REASONING)

PREDICTIONS = pa.schema(
    [
        pa.field("document_id", pa.string(), nullable=False),
        pa.field("position", pa.int32(), nullable=False),
        pa.field("tier", pa.string(), nullable=False),
        pa.field("mode", pa.string(), nullable=False),
        pa.field("sample_index", pa.int32(), nullable=False),
        pa.field("predicted", pa.string(), nullable=False),
        pa.field("correct", pa.bool_(), nullable=False),
        pa.field("prefix_correct", pa.bool_(), nullable=False),
        pa.field("outcome", pa.string(), nullable=False),
        pa.field("reasoning_tokens", pa.int32(), nullable=False),
        pa.field("completion", pa.string(), nullable=False),
    ]
)
"""Sorted by (document_id, position, mode, sample_index). `mode` `direct` is the likeliest next token of the plain
context; `reasoning` a sampled completion of the prediction prompt. `correct` is the exact next token, `prefix_correct`
RPT's rule. `outcome` is `right`, `wrong`, `no_prediction` or `truncated`; the last two count as wrong.
`reasoning_tokens` is -1 for `direct`. `sample_index` is -1 for `direct` and for greedy decoding."""

DRAWN = pa.schema(
    [
        pa.field("document_id", pa.string(), nullable=False),
        pa.field("tokens", pa.list_(pa.int32()), nullable=False),
        pa.field("positions", pa.list_(pa.int32()), nullable=False),
    ]
)
"""A document whose tokens at `positions` are predicted without reasoning."""

LIKELIEST = pa.schema(
    [
        pa.field("document_id", pa.string(), nullable=False),
        pa.field("position", pa.int32(), nullable=False),
        pa.field("token", pa.int32(), nullable=False),
    ]
)
"""The likeliest token at each position."""
