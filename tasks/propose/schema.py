"""The table of proposals."""

import pyarrow as pa

PROPOSALS_FILE = "proposals.parquet"
PROPOSALS = pa.schema(
    [
        pa.field("question_id", pa.string(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("instruction", pa.string(), nullable=False),
    ]
)
"""What a question is solved by in place of heuristics, one row for each; a prompt shows it as it shows a heuristic."""
