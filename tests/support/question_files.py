"""A question set in one file of any kind, built: what became of each of its rows."""

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.questions.config import QuestionsConfig
from tasks.questions.fields import FieldMapping
from tasks.questions.load import build_questions
from tasks.questions.schema import QUESTIONS_FILE
from tasks.questions.sources import resolve
from tasks.shared.sources.rejects import REJECTS_FILE
from tasks.shared.tables.parquet import read_rows

FIELDS = FieldMapping(question="q", answer="a", meta={"m": "m"})
ONE = b'{"q": "one?", "a": "1"}\n'
CSV = b"q,a\none?,1\n"
Rejected = tuple[int, str, str]


def parquet(table: pa.Table | None = None, /, *, options: dict[str, Any] | None = None, **columns: Any) -> bytes:
    """A Parquet file of a table, or of columns beside which the question stands where none is given."""
    if table is None:
        table = pa.table({"q": ["one?"], **columns} if "q" not in columns else columns)
    out = io.BytesIO()
    pq.write_table(table, out, **(options or {}))
    return out.getvalue()


def outcome(tmp_path: Path, file: str, data: bytes, **settings: Any) -> tuple[set[tuple[str, str]], list[Rejected]]:
    """Questions with answers, and rejects as line, field, reason, together every row; SourceError for the source."""
    (tmp_path / file).write_bytes(data)
    config = QuestionsConfig(source=str(tmp_path / file), fields=FIELDS, max_rejected_share=1.0, **settings)
    counts = build_questions(resolve(config), tmp_path / "out", tmp_path / "work")
    kept = {(row["question"], row["answer"]) for row in read_rows(tmp_path / "out" / QUESTIONS_FILE)}
    rejects = [(row["line"], row["field"], row["reason"]) for row in read_rows(tmp_path / "out" / REJECTS_FILE)]
    assert counts.read == len(kept) + counts.merged + len(rejects)
    return kept, rejects
