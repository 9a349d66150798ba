"""Tables that the dataset room writes."""

import pyarrow as pa

TRAIN_FILE = "train.parquet"
RL_FILE = "rl.parquet"
CARD_FILE = "README.md"


def _columns(**types: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in types.items()])


TRAIN = _columns(
    prompt=pa.string(), completion=pa.string(), question_id=pa.string(), heuristic=pa.string(), rank=pa.int32()
)
"""`prompt` is the exact text that the model continues; the n-variant set is the rows with rank < n."""

RL = _columns(prompt=pa.string(), answer=pa.string(), question_id=pa.string())
"""`answer` is the gold answer that the verifier compares with."""
