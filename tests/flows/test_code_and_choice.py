"""Benchmarks whose answers are code or a letter, from the model's text to the score."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from flows.stages.evaluate import evaluate
from tasks.evaluate.schema import SAMPLES_FILE, SCORES_FILE
from tasks.shared.sandbox.available import SandboxUnavailable, confinement
from tasks.shared.tables.parquet import read_rows
from tasks.spine.store.store import Store
from tests.support.small import run

pytestmark = pytest.mark.slow

ANSWERS = {
    "def double": "Add x to itself.\n```python\ndef double(x):\n    return x + x\n```",
    "def triple": "```python\ndef triple(x):\n    print('all tests passed')\n    raise SystemExit(0)\n```",
    "def half": "```python\ndef half(x):\n    while True:\n        pass\n```",
    "def square": "I would rather not.",
    "Where does Ann look?": r"She has not seen it: \boxed{B}.",
    "Where does Ben look?": r"It is \boxed{(B) box}.",
}
"""What the server says to a prompt that holds the key."""


def row(name: str, gold: str) -> dict[str, str]:
    prompt, test = f"def {name}(x):\n    '''Of x.'''\n", f"def check(candidate):\n    assert candidate(4) == {gold}\n"
    return {"task_id": name, "prompt": prompt, "test": test, "entry_point": name, "canonical_solution": ""}


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.reply({"data": [{"id": "answering"}]})

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
        text = next(answer for key, answer in ANSWERS.items() if key in asked)
        choice = {"message": {"content": text}, "text": text, "finish_reason": "stop"}
        self.reply({"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 9}})

    def reply(self, content: object) -> None:
        raw = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}/v1"
        http.shutdown()


def test_code_runs_in_the_sandbox_and_letters_are_read(in_new_home: Path, tmp_path: Path, address: str) -> None:
    try:
        confinement()
    except SandboxUnavailable as reason:
        pytest.skip(str(reason))
    functions = [row("double", "8"), row("triple", "12"), row("half", "2"), row("square", "16")]
    (tmp_path / "functions.jsonl").write_text("".join(json.dumps(item) + "\n" for item in functions))
    story = {"context": "Ann left the key in the box. Ben moved it to the bag."}
    questions = [{"question": f"Where does {who} look?", "choices": ["bag", "box"]} for who in ("Ann", "Ben")]
    asked = [{**question, "answer": number} for question, number in zip(questions, (1, 0), strict=True)]
    (tmp_path / "stories.json").write_text(json.dumps([{**story, "questions": asked}]))
    overrides = {
        "evaluate.benchmarks": ["humaneval", "musr-objects"],
        "evaluate.sources": {
            "humaneval": str(tmp_path / "functions.jsonl"),
            "musr-objects": str(tmp_path / "stories.json"),
        },
        "evaluate.samples": 1,
        "evaluate.greedy": False,
        "evaluate.resamples": 200,
        "evaluate.sandbox.cpu_s": 1,
        "prompt.style": "message",
        "runtime.engine": "openai",
        "runtime.openai_base_url": address,
    }
    built = Store.open().local(run(evaluate, recipe="tiny-cpu", overrides=overrides).ref)
    verdicts = {
        (json.loads(sample["meta"]).get("id") or sample["completion"][-8:]): sample["verdict"]
        for sample in read_rows(built / SAMPLES_FILE)
    }
    assert verdicts == {
        "double": "correct",
        "triple": "wrong",
        "half": "timeout",
        "square": "unparsed",
        "oxed{B}.": "correct",
        "B) box}.": "wrong",
    }
    scores = json.loads((built / SCORES_FILE).read_text())["scores"]
    assert {name: found["pass@1"] for name, found in scores.items()} == {"humaneval": 0.25, "musr-objects": 0.5}
