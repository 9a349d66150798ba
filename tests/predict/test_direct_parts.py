"""Direct predictions by several workers: each reads its chunks of the documents, and together they are one's."""

from pathlib import Path

import pytest

from tasks.entropy.config import EntropyConfig
from tasks.predict.config import DirectJob
from tasks.predict.schema import DRAWN
from tasks.predict.worker import run
from tasks.shared.tables.parquet import Row, read_rows, write_parquet
from tasks.spine.stage.gpus import WHOLE, Part
from tasks.spine.stage.worker import Reporter
from tasks.spine.store.runtime import Runtime
from tests.support.corpus import encoded

pytestmark = pytest.mark.slow


def test_the_parts_of_two_workers_are_what_one_predicts(
    random_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.predict.worker.CHUNK_TOKENS", 30)
    documents = encoded([20, 25, 12, 40, 9, 31, 18], 250)
    rows = [{"document_id": item.document_id, "tokens": item.tokens, "positions": [1, 5, 8]} for item in documents]
    write_parquet(rows, tmp_path / "drawn.parquet", DRAWN)

    def predicted(name: str, part: Part) -> list[Row]:
        job = DirectJob(
            config=EntropyConfig(context_tokens=24, overlap_tokens=8),
            model=random_model,
            drawn=tmp_path / "drawn.parquet",
            out=tmp_path / f"{name}.parquet",
            part=part,
            runtime=Runtime(device="cpu", num_threads=1),
        )
        result, found = run(job, Reporter(tmp_path)), list(read_rows(job.out))
        assert result == {"positions": len(found)}
        return found

    whole = predicted("whole", WHOLE)
    first, second = predicted("first", Part(0, 2)), predicted("second", Part(1, 2))
    assert len(whole) == 3 * len(documents)
    assert min(len(first), len(second)) > 0
    assert sorted([*first, *second], key=lambda row: (row["document_id"], row["position"])) == whole
