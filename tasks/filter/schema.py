"""Tables that the filtering room writes."""

import pyarrow as pa

VERDICTS_FILE = "verdicts.parquet"
KEPT_FILE = "kept.parquet"
WRONG_FILE = "wrong.parquet"

VERDICTS = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("question_id", pa.string(), nullable=False),
        pa.field("heuristic", pa.string(), nullable=False),
        pa.field("sample_index", pa.int32(), nullable=False),
        pa.field("verdict", pa.string(), nullable=False),
        pa.field("extracted", pa.string()),
        pa.field("truncated", pa.bool_(), nullable=False),
        pa.field("ending", pa.string(), nullable=False),
        pa.field("arithmetic", pa.float64()),
        pa.field("adherence", pa.float64()),
        pa.field("kept", pa.bool_(), nullable=False),
        pa.field("drop_reason", pa.string(), nullable=False),
    ]
)
"""Exactly one row for each sample. `truncated`: cut at the token limit before the solution was finished. `ending` is an
`EndingKind`, empty where no answer was found, never `whole` or `cut_back` where truncated; `arithmetic` is the share of
a solution's equations that hold, null where none can be checked; `adherence` is null where it was not scored,
`drop_reason` empty where kept."""

KEPT = pa.schema(
    [
        pa.field("question_id", pa.string(), nullable=False),
        pa.field("question", pa.string(), nullable=False),
        pa.field("answer", pa.string(), nullable=False),
        pa.field("heuristic", pa.string(), nullable=False),
        pa.field("completion", pa.string(), nullable=False),
        pa.field("verdict", pa.string(), nullable=False),
        pa.field("adherence", pa.float64()),
        pa.field("completion_tokens", pa.int32(), nullable=False),
        pa.field("key", pa.string(), nullable=False),
    ]
)
"""Solutions with question and gold answer: the best correct ones in `kept.parquet`; in `wrong.parquet` as many wrong
ones, chosen by the same rule, for the ablation that trains on wrong answers. `completion` ends where its `ending` says;
`completion_tokens` are those that were generated."""

CHECKED = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("verdict", pa.string(), nullable=False),
        pa.field("extracted", pa.string()),
        pa.field("ending", pa.string(), nullable=False),
        pa.field("solution_chars", pa.int64(), nullable=False),
        pa.field("arithmetic", pa.float64()),
    ]
)
"""Verdicts, and how much of each completion is the solution, in the order of samples.parquet, while filtering is under
way."""
