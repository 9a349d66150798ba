"""Tables that the questions room writes."""

import pyarrow as pa

from tasks.shared.tables.parquet import required_columns
from tasks.spine.store.manifest import SourceTable

QUESTIONS_FILE = "questions.parquet"

QUESTIONS = required_columns(
    id=pa.string(), question=pa.string(), answer=pa.string(), source=pa.string(), meta=pa.string()
)
"""`answer` is the gold answer as text that Math-Verify can parse; `meta` is a JSON object."""
SOURCE = SourceTable(path=QUESTIONS_FILE, id_column="id", text_column="question")
