"""Tables that the generation room writes."""

import pyarrow as pa

SAMPLES_FILE = "samples.parquet"
PROMPTS_FILE = "prompts.parquet"


def _columns(**types: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in types.items()])


SAMPLES = _columns(
    key=pa.string(),
    question_id=pa.string(),
    heuristic=pa.string(),
    sample_index=pa.int32(),
    completion=pa.string(),
    finish_reason=pa.string(),
    prompt_tokens=pa.int32(),
    completion_tokens=pa.int32(),
    engine=pa.string(),
)
"""One candidate a row, sorted by question id. `heuristic` is empty for the plain prompt, `finish_reason` is `stop` or
`length` (truncated), `sample_index` -1 is the greedy one."""

PROMPTS = _columns(question_id=pa.string(), heuristic=pa.string(), prompt=pa.string())
"""Every rendered prompt, the plain one (`heuristic` empty) of each question included."""

WANTED = _columns(
    key=pa.string(),
    question_id=pa.string(),
    heuristic=pa.string(),
    sample_index=pa.int32(),
    prompt=pa.string(),
    seed=pa.int64(),
)
"""The samples that a stage asks for, in the order in which it wants them."""

POOLED = _columns(
    key=pa.string(),
    completion=pa.string(),
    finish_reason=pa.string(),
    prompt_tokens=pa.int32(),
    completion_tokens=pa.int32(),
    engine=pa.string(),
)
"""A row of the pool."""
