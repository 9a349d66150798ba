"""What a step asks and reads: documents once, drawn positions kept out, long documents in pieces."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.errors import Permanent
from tasks.rmt.rows import Run, ScheduledText, TextPlan, read_run
from tasks.shared.training.batch_balancing import balance_by_length
from tasks.shared.training.config import IGNORED
from tests.support.guessing import add_think_tags, write_schedule
from tests.support.random_model import save_random_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return add_think_tags(save_random_model(tmp_path_factory.mktemp("model")))


def run_of(**texts: tuple[int, list[int]]) -> Run:
    """One step that draws from each document twice; token i of a document is 100 + i."""
    found = {
        name: ScheduledText(np.arange(100, 100 + n), np.array(drawn, dtype=int)) for name, (n, drawn) in texts.items()
    }
    return Run(1, 2 * len(texts), {}, [*texts, *texts], found)


@pytest.mark.parametrize("context", [6, 8, 64])
@pytest.mark.parametrize("overlap", [1, 4])
@pytest.mark.parametrize("keep_drawn", [False, True])
def test_every_other_position_is_a_target_once(context: int, overlap: int, keep_drawn: bool) -> None:
    lengths, drawn = {"a": 23, "b": 2, "c": 8}, {"a": [1, 7, 8, 22], "b": [], "c": [4]}
    run = run_of(**{name: (lengths[name], drawn[name]) for name in lengths})
    plan = TextPlan(run, context_tokens=context, overlap_tokens=overlap, keep_drawn=keep_drawn)
    rows = plan.rows(0)
    assert max(len(row.tokens) for row in rows) <= context
    targets = Counter(int(label) for row in rows for label in row.labels[1:] if label != IGNORED)
    wanted = [100 + i for n, skip in zip(lengths.values(), drawn.values(), strict=True) for i in range(1, n)
              if keep_drawn or i not in skip]  # fmt: skip
    assert targets == Counter(wanted)
    assert plan.tokens(0) == len(wanted)
    for row in rows:
        assert all(label in (IGNORED, token) for token, label in zip(row.tokens, row.labels, strict=True))
        first = next(i for i, label in enumerate(row.labels) if i and label != IGNORED)
        assert row.tokens[0] == 100 or first >= overlap


def test_documents_without_a_target_have_no_row() -> None:
    plan = TextPlan(run_of(a=(3, [1, 2]), b=(1, [])), context_tokens=8, overlap_tokens=1, keep_drawn=False)
    assert plan.rows(0) == []
    assert plan.tokens(0) == 0


@pytest.mark.parametrize("cells", [1, 3, 8])
def test_rows_are_dealt_once_and_evenly(cells: int) -> None:
    sizes = [9, 1, 4, 4, 7, 2, 2, 8]
    dealt = balance_by_length(sizes, cells)
    assert len(dealt) == cells
    assert sorted(row for cell in dealt for row in cell) == list(range(len(sizes)))
    filled = [sum(sizes[row] for row in cell) for cell in dealt]
    assert max(filled) - min(filled) <= max(sizes)


def test_a_schedule_is_read_in_its_order(model: Path, tmp_path: Path) -> None:
    run = read_run(write_schedule(tmp_path / "s", model, steps=3, slots=4))
    assert (run.steps, run.positions_per_step, len(run.texts)) == (3, 4, 9)
    assert run.documents_of(1) == ["d0004", "d0005", "d0006"]
    assert run.asked["prompt"] == [row["prompt"] for row in pq.read_table(tmp_path / "s/schedule.parquet").to_pylist()]


def drop(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return rows[:5] + rows[6:]


def move(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "position": row["position"] + 1} for row in rows]


def rename(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "document_id": "other"} for row in rows]


def forget(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "target"} for row in rows]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop, r"11 rows are not 3 steps of 4 slots"),
        (move, r"row 0 wants token \d+ at position 5 of document d0000"),
        (rename, r"at position 4 of document other"),
        (forget, r"schedule.parquet: no column 'target'"),
    ],
)
def test_a_broken_schedule_is_refused(change: Any, message: str, model: Path, tmp_path: Path) -> None:
    path = write_schedule(tmp_path / "s", model, steps=3, slots=4) / "schedule.parquet"
    pq.write_table(pa.Table.from_pylist(change(pq.read_table(path).to_pylist())), path)
    with pytest.raises(Permanent, match=message):
        read_run(tmp_path / "s")


def test_an_empty_schedule_and_a_missing_file_are_refused(model: Path, tmp_path: Path) -> None:
    path = write_schedule(tmp_path / "s", model, steps=3, slots=4) / "schedule.parquet"
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    with pytest.raises(Permanent, match="an empty schedule"):
        read_run(tmp_path / "s")
    path.unlink()
    with pytest.raises(Permanent, match=r"schedule.parquet is missing"):
        read_run(tmp_path / "s")
