"""Completions that no table can hold: each is one rejected sample, and costs no other."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tasks.shared.engines.openai_engine import OpenAIEngine
from tasks.shared.engines.prompt_form import PromptForm
from tasks.shared.engines.protocol import Sampling
from tasks.shared.sampling.pool import Pool
from tasks.shared.sampling.schema import REJECTED, WANTED, SampleSetJob, SamplingJob, graded_text
from tasks.shared.sampling.wanted import Prompt, wanted_rows
from tasks.shared.sampling.worker import SamplingTally, fill
from tasks.shared.tables.parquet import Row, write_parquet
from tasks.spine.stage.worker import Reporter
from tasks.spine.store.runtime import Runtime

ODD = {"half a pair": ("42 \ud83d", 4), "the other half": ("\ude00 42", 4), "a count beyond 32 bits": ("42", 1 << 40)}


class Handler(BaseHTTPRequestHandler):
    """Writes 42, or what is odd."""

    def do_POST(self) -> None:
        """Answer one chat request."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["messages"][-1]["content"]
        text, count = ODD.get(asked, ("42", 4))
        choice = {"message": {"content": text}, "finish_reason": "stop"}
        body = json.dumps({"choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": count}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}/v1"
    http.shutdown()
    http.server_close()
    thread.join()


def test_a_completion_that_cannot_be_stored_is_one_rejected_sample(server: str, tmp_path: Path) -> None:
    asked = [*ODD, *map(str, range(20))]
    prompts = [Prompt(text, text, "", text) for text in asked]
    rows = list(wanted_rows(prompts, sampling=Sampling(), model_digest="", num_samples=1, seed=0))
    write_parquet(rows, tmp_path / "wanted.parquet", WANTED)
    samples = SampleSetJob(wanted=tmp_path / "wanted.parquet", pool=str(tmp_path / "pool"), sampling=Sampling())
    tally = SamplingTally(len(rows), Reporter(tmp_path, silent=True))
    job = SamplingJob(model=tmp_path, sets=(samples,), runtime=Runtime(), form=PromptForm(style="message"))
    fill(samples, OpenAIEngine(base_url=server, model="m", endpoint="chat"), tally, job)
    pool = Pool(samples.pool)
    found: dict[str, Row] = {row["question_id"]: row for row in pool.ordered(lambda: rows, pool.scan(), tmp_path)}
    assert {name for name, row in found.items() if row["finish_reason"] == REJECTED} == set(ODD)
    assert {graded_text(found[name], PromptForm()) for name in ODD} == {""}
    assert {graded_text(row, PromptForm()) for name, row in found.items() if name not in ODD} == {"42"}
    assert (tally.done, tally.rejected) == (23, 3)
