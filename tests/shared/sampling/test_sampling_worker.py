"""The worker with a real model: whatever happens to it, every sample is there once in the end."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tasks.shared.engines.prompt_form import PromptForm
from tasks.shared.engines.protocol import Request, Sampling
from tasks.shared.engines.transformers_engine import TransformersEngine
from tasks.shared.sampling.pool import Pool
from tasks.shared.sampling.schema import WANTED, SampleSetJob, SamplingJob
from tasks.shared.sampling.wanted import Prompt, wanted_rows
from tasks.shared.sampling.worker import LONGEST_PROMPTS, missing_requests, survey
from tasks.shared.tables.parquet import read_rows, write_parquet
from tasks.spine.stage.launch import WorkerFailed, run_worker
from tasks.spine.store.runtime import Runtime
from tests.support.paths import ROOT, TINY_MODEL

pytestmark = pytest.mark.slow

WORKER = "tasks.shared.sampling.worker"
SEES = """
import json, os, sys

names = ("PYTORCH_NVML_BASED_CUDA_CHECK", "VLLM_WORKER_MULTIPROC_METHOD", "VLLM_USE_FLASHINFER_SAMPLER",
         "VLLM_NO_USAGE_STATS", "DO_NOT_TRACK")
seen = {"torch": "torch" in sys.modules, "cuda_started": sys.modules["torch"].cuda.is_initialized()}
with open("seen.json", "w") as file:
    json.dump(seen | {name: os.environ.get(name) for name in names}, file)
os._exit(7)
"""
SAMPLING = Sampling(top_p=1.0, max_new_tokens=48)


def wanted(path: Path, count: int) -> None:
    prompts = [Prompt(f"{i:04d}", "", "", f"Q: Ann has {i} pens and gets {i + 7}. How many?\nA:") for i in range(count)]
    rows = wanted_rows(prompts, sampling=SAMPLING, model_digest="0" * 64, num_samples=2, seed=0)
    write_parquet(rows, path, WANTED)


@pytest.fixture
def job(tmp_path: Path) -> SamplingJob:
    wanted(tmp_path / "wanted.parquet", 100)
    samples = SampleSetJob(wanted=tmp_path / "wanted.parquet", pool=str(tmp_path / "pool"), sampling=SAMPLING)
    runtime = Runtime(device="cpu", batch_size=8, flush_rows=20, num_threads=1)
    return SamplingJob(model=TINY_MODEL, sets=(samples,), runtime=runtime, form=PromptForm())


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Texts by key of one stream without a break, in batches of another size."""
    path = tmp_path_factory.mktemp("whole") / "wanted.parquet"
    wanted(path, 100)
    engine = TransformersEngine(TINY_MODEL, device="cpu", dtype="float32", batch_size=64)
    rows = [Request(row["key"], row["prompt"], row["seed"]) for row in read_rows(path)]
    return {item.key: item.text for item in engine.stream(rows, SAMPLING)}


def test_the_longest_prompts_of_all_sets_are_known_before_an_engine_starts(job: SamplingJob, tmp_path: Path) -> None:
    wanted(tmp_path / "others.parquet", 400)
    others = job.sets[0].model_copy(update={"wanted": tmp_path / "others.parquet", "sampling": Sampling(top_k=5)})
    total, longest = survey([*job.sets, others])
    assert total == 2 * (100 + 400)
    assert {most for _, most in longest} == {SAMPLING.max_new_tokens, Sampling().max_new_tokens}
    asked = [request.prompt for part in (job.sets[0], others) for request in missing_requests(part)]
    assert max(len(prompt) for prompt, _ in longest) == max(map(len, asked))
    assert len(longest) <= 4 * LONGEST_PROMPTS


def test_killed_workers_lose_only_the_batch_in_flight_and_change_no_text(
    job: SamplingJob, tmp_path: Path, uninterrupted: dict[str, str]
) -> None:
    folder, pool = tmp_path / "pool", Pool(str(tmp_path / "pool"))
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "job.json").write_text(job.model_dump_json())
    for how, batches in ((signal.SIGTERM, 3), (signal.SIGKILL, 6)):
        child = subprocess.Popen([sys.executable, "-m", WORKER, str(tmp_path / "work")], cwd=ROOT)
        while len(list(folder.glob("*.parquet"))) < batches and child.poll() is None:
            time.sleep(0.02)
        child.send_signal(how)
        assert child.wait() in (-how, 128 + how)
        held = len(pool.scan().batch_of)
        # Not all of them are full: a batch is written after some seconds too, and where its worker is asked to end.
        assert batches <= held < 200
    written = {path.name: path.read_bytes() for path in folder.glob("*.parquet")}
    lines: list[dict[str, Any]] = []
    result = run_worker(WORKER, job, tmp_path / "again", timeout_s=300, on_progress=lines.append)
    assert result["generated"] == 200 - held
    assert lines[0]["done"] == 0
    assert (lines[-1]["done"], lines[-1]["total"], lines[-1]["unit"]) == (200 - held, 200 - held, "samples")
    assert set(lines[-1]["values"]) == {"tokens_per_s", "truncated_share", "mean_tokens"}
    index = pool.scan()
    assert len(index.batch_of) == 200
    assert index.duplicates == 0
    assert all((folder / name).read_bytes() == content for name, content in written.items())
    texts = {row["key"]: row["completion"] for path in folder.glob("*.parquet") for row in read_rows(path)}
    assert texts == uninterrupted


def test_vllm_is_imported_where_an_engine_can_start(job: SamplingJob, tmp_path: Path) -> None:
    """A package of that name writes down what vLLM would find: the worker has asked for a device before."""
    (tmp_path / "vllm.py").write_text(SEES)
    job = job.model_copy(update={"runtime": Runtime(device="auto", engine="vllm", num_threads=1)})
    with pytest.raises(WorkerFailed, match="exit code 7"):
        run_worker(WORKER, job, tmp_path / "work", timeout_s=300, env={"PYTHONPATH": f"{ROOT}:{tmp_path}"})
    assert json.loads((tmp_path / "work" / "seen.json").read_text()) == {
        "torch": True,
        "cuda_started": False,
        "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
        "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
        "VLLM_USE_FLASHINFER_SAMPLER": "0",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
    }


def test_two_runs_at_once_agree_in_the_end(job: SamplingJob, tmp_path: Path) -> None:
    """Two stages may want the same samples; each key ends up with one text for both."""
    children = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "job.json").write_text(job.model_dump_json())
        command = [sys.executable, "-m", WORKER, str(tmp_path / name)]
        children.append(subprocess.Popen(command, cwd=ROOT))
    assert [child.wait() for child in children] == [0, 0]
    pool = Pool(str(tmp_path / "pool"))
    index = pool.scan()
    assert len(index.batch_of) == 200
    asked = [{"key": key, "question_id": key, "heuristic": "", "sample_index": 0} for key in sorted(index.batch_of)]
    first, again = (list(pool.ordered(lambda: asked, held, tmp_path)) for held in (index, pool.scan()))
    assert first == again
