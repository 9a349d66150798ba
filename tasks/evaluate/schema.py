"""The table that evaluation writes: one row for every completion."""

import pyarrow as pa

SAMPLES_FILE = "samples.parquet"
SCORES_FILE = "scores.json"

EVALUATED = pa.schema(
    [
        pa.field("benchmark", pa.string(), nullable=False),
        pa.field("question_id", pa.string(), nullable=False),
        pa.field("sample_index", pa.int32(), nullable=False),
        pa.field("completion", pa.string(), nullable=False),
        pa.field("verdict", pa.string(), nullable=False),
        pa.field("extracted", pa.string()),
        pa.field("vote", pa.string()),
        pa.field("finish_reason", pa.string(), nullable=False),
        pa.field("completion_tokens", pa.int32(), nullable=False),
        pa.field("meta", pa.string(), nullable=False),
    ]
)
"""`sample_index` -1 is the greedy completion; `vote` names the class of equal answers; `meta` is the question's, as
JSON. Sorted by benchmark and question."""

REWARDED = EVALUATED.append(pa.field("reward", pa.float64()))
"""The same where a reward model scored the samples; null for the greedy ones, and where it could not."""
