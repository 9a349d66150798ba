"""The whole pipeline on S3: store, pool and Prefect's results, with an endpoint that is not always well."""

import itertools
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.spine.store.settings import Settings
from tasks.spine.store.store import Store
from tests.support.commands import Command, gone, start_python
from tests.support.homes import Databases
from tests.support.s3_proxy import Proxy
from tests.support.small import SMALL

pytestmark = pytest.mark.slow

ARM = '{"polya": {"label": "Mid-trained", "rl": false}}'


def run_polya(home: Path, store: str) -> Command:
    """`midtrain run polya` in a home of its own."""
    settings = {**SMALL, "arms": ARM, "runtime.num_threads": 1}
    overrides = [f"--set={key}={str(value).replace(chr(39), chr(34))}" for key, value in settings.items()]
    places = {"MIDTRAIN_STORE": store, "MIDTRAIN_RESULTS": f"{store}/results", "COLUMNS": "200"}
    return start_python(home, ["-m", "flows.cli", "run", "polya", *overrides], **places)


@pytest.mark.timeout(1200)
@pytest.mark.long(reason="a whole pipeline on S3, twice, with faults; each kind of fault has a test of its own")
def test_a_pipeline_on_s3_survives_faults_and_is_reused_elsewhere(
    s3_bucket: str, s3_endpoint: str, s3_proxy: Proxy, databases: Databases, tmp_path: Path
) -> None:
    address = f"s3://{s3_bucket}/{tmp_path.name}"
    for name in ("first", "second"):
        databases.copy_to(tmp_path / name)
    s3_proxy.add("slow", matches=lambda method, path: method == "GET" and "/samples/" in path, times=5, delay_s=0.2)
    for kind in ("status", "reset", "lost"):
        s3_proxy.add(kind, matches=every(7), times=40, status=500)
    first = run_polya(tmp_path / "first", address)
    first.wait_until(lambda: any(method == "PUT" and "/pool/" in path for method, path in s3_proxy.requests), 400)
    s3_proxy.away_for(6).join()
    assert first.wait(600) == 0, first.output
    assert all(fault.seen for fault in s3_proxy.faults)
    built = first.stages("built now")
    assert {"questions", "model", "generate", "filter", "dataset", "midtrain", "evaluate", "report"} <= set(built)
    s3_proxy.faults.clear()

    store = Store.open(Settings(home=tmp_path / "reader", store=address))
    names = store.files.fs.find(store.files.root)
    assert [name for name in names if re.search(r"/pool/.*\.parquet$", name)]
    assert [name for name in names if "/results/" in name]
    assert not [name for name in names if name.endswith("lease.json")]
    everything = first.output + "".join(manifest.model_dump_json() for manifest in store.all())
    assert s3_proxy.address not in "".join(manifest.model_dump_json() for manifest in store.all())
    assert "testing" not in everything

    (dataset,) = store.all("dataset")
    store.files.remove(f"{dataset.ref.path}/{dataset.data}/{dataset.files[0].path}")
    second = run_polya(tmp_path / "second", address)
    assert second.wait(400) == 0, second.output
    assert second.stages("built now") == [dataset.stage]
    assert sorted([*second.stages("store"), dataset.stage]) == sorted(built)
    assert store.find("dataset", dataset.fingerprint) is not None
    assert gone(tmp_path / "first")


def every(number: int) -> Callable[[str, str], bool]:
    """Matches each request of that number."""
    count = itertools.count()
    return lambda method, path: next(count) % number == number - 1
