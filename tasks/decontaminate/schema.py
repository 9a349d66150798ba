"""The table of overlaps."""

import pyarrow as pa

from tasks.shared.tables.parquet import required_columns

OVERLAPS_FILE = "overlaps.parquet"
OVERLAPS = required_columns(
    question_id=pa.string(),
    benchmark=pa.string(),
    benchmark_id=pa.string(),
    kind=pa.string(),
    evidence=pa.string(),
)
"""A row for each training question and benchmark question that share text. `kind` is `exact` or `ngram`; `evidence` is
the shared text."""
