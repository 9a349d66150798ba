"""Generation split into shard tasks: the same samples, whatever the number of shards."""

from pathlib import Path

import pytest

from flows.stages.generate import generate
from tasks.shared.sampling.schema import SAMPLES_FILE
from tasks.shared.tables.parquet import read_rows
from tasks.spine.store.store import Store
from tests.support.small import run

pytestmark = pytest.mark.slow

FEW = {"questions.tiny.count": 6, "runtime.num_threads": 1}


def test_shards_fill_the_pool_and_their_number_is_no_part_of_the_identity(in_new_home: Path) -> None:
    sharded = run(generate, recipe="tiny-cpu", overrides={**FEW, "runtime.num_shards": 3})
    manifest = next(manifest for name, manifest, *_ in sharded.stages if name == "generate")
    assert manifest.summary["generated_now"] == 0, "the shards had done it all"
    assert manifest.summary["from_pool"] == manifest.rows["samples"] == 6 * 6
    rows = list(read_rows(Store.open().local(sharded.ref) / SAMPLES_FILE))
    assert len({row["key"] for row in rows}) == 36
    whole = run(generate, recipe="tiny-cpu", overrides=FEW)
    assert whole.ref == sharded.ref
    assert "generate" not in whole.built
