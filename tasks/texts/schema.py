"""Tables that the texts room writes."""

import pyarrow as pa

from tasks.shared.tables.parquet import Weight
from tasks.spine.store.manifest import SourceTable

TRAIN_FILE = "train.parquet"
EVALUATION_FILE = "evaluation.parquet"
SPLIT_FILES = {"evaluation": EVALUATION_FILE, "train": TRAIN_FILE}
"""File of each split, in order of name."""
SOURCES = tuple(SourceTable(path=name, id_column="document_id", text_column="text") for name in SPLIT_FILES.values())

TEXTS = pa.schema(
    [
        pa.field("document_id", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("given_chars", pa.int32(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("meta", pa.string(), nullable=False),
    ]
)
"""A row per document, sorted by `document_id`, a digest of text and given part.

`text` is the whole document. Its first `given_chars` characters are given (the question of a solution, with what joins
the two) and never a place to predict; 0 for plain text. `meta` is a JSON object.
"""

GROUP = Weight(lambda row: len(row["text"]) + len(row["meta"]), 1 << 23)
"""Bound on a row group: characters of its documents and of what is noted beside them."""
