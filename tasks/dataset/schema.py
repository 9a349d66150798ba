"""Tables that the dataset room writes."""

import pyarrow as pa

from tasks.shared.tables.parquet import required_columns

TRAIN_FILE = "train.parquet"
RL_FILE = "rl.parquet"
CARD_FILE = "README.md"


TRAIN = required_columns(
    prompt=pa.string(), completion=pa.string(), question_id=pa.string(), heuristic=pa.string(), rank=pa.int32()
)
"""`prompt` is the exact text that the model continues; the n-variant set is the rows with rank < n."""

RL = required_columns(prompt=pa.string(), answer=pa.string(), question_id=pa.string())
"""`answer` is the gold answer that the verifier compares with."""
