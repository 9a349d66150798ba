"""The table's reader: what was written comes back, by split and in order, whatever the row groups."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from tasks.entropy.read import read_documents
from tasks.entropy.schema import ENTROPY, ENTROPY_FILE, GROUP
from tasks.shared.tables.parquet import ParquetError, Weight, write_parquet


def row(split: str, index: int, length: int) -> dict[str, Any]:
    rng = np.random.default_rng(index)
    return {
        "document_id": f"{index:04d}",
        "split": split,
        "given_tokens": index % 3,
        "tokens": rng.integers(0, 99, length, dtype=np.int32),
        "entropy": np.r_[np.float32(np.nan), rng.random(length - 1, dtype=np.float32)],
        "log_prob": np.r_[np.float32(np.nan), -rng.random(length - 1, dtype=np.float32)],
        "top_token": np.r_[np.int32(-1), rng.integers(0, 99, length - 1, dtype=np.int32)],
        "context_start": np.zeros(length, np.int32),
    }


@pytest.mark.parametrize("most", [1, 40, GROUP.most])
def test_documents_come_back_by_split_and_in_order(tmp_path: Path, most: int) -> None:
    rows = [row(split, index, 2 + index % 7) for split in ("evaluation", "train") for index in range(30)]
    write_parquet(
        rows, tmp_path / ENTROPY_FILE, ENTROPY, sorted_by=("split", "document_id"), weight=Weight(GROUP.of, most)
    )
    assert (pq.ParquetFile(tmp_path / ENTROPY_FILE).num_row_groups > 1) == (most < GROUP.most)
    for split in ("evaluation", "train"):
        wanted = [each for each in rows if each["split"] == split]
        found = list(read_documents(tmp_path, split))
        assert [each.document_id for each in found] == [each["document_id"] for each in wanted]
        for document, each in zip(found, wanted, strict=True):
            assert (document.split, document.given_tokens) == (split, each["given_tokens"])
            for name in ("tokens", "entropy", "log_prob", "top_token", "context_start"):
                array = getattr(document, name)
                assert array.dtype == each[name].dtype
                np.testing.assert_array_equal(array, each[name])


def test_another_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParquetError, match="no such Parquet file"):
        next(read_documents(tmp_path, "train"))
    (tmp_path / ENTROPY_FILE).write_bytes(b"PAR1 torn")
    with pytest.raises(ParquetError, match="not a whole Parquet file"):
        next(read_documents(tmp_path, "train"))
