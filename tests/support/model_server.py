"""An OpenAI-compatible server on this machine, around a real model or a function, that misbehaves on request."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tasks.shared.engines.protocol import Completion, Request, Sampling
from tasks.shared.engines.tokens import load_tokenizer
from tasks.shared.engines.transformers_engine import TransformersEngine
from tests.support.paths import TINY_MODEL


@dataclass
class ModelServer:
    """An OpenAI-compatible server around the transformers engine, or around a function."""

    engine: TransformersEngine | None = None
    model: Path = TINY_MODEL
    write: Callable[[str], str] | None = None
    """Writes the answer to a prompt in place of the engine."""
    models: list[str] = field(default_factory=lambda: ["talking"])
    listed: bytes = b""
    """What it says of its models instead."""
    faults: dict[str, list[int]] = field(default_factory=dict)
    """Prompt -> statuses to answer with first; 0 closes the connection without an answer."""
    fault: bytes = b""
    """What stands in these answers instead of the request."""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: set[str | None] = field(default_factory=set)
    refuses: dict[str, set[Any]] = field(default_factory=dict)
    """Fields that are answered with an error, and the values that are taken all the same."""
    refusal: str = "unknown: {names}"
    reasons: dict[str, list[str | None]] = field(default_factory=dict)
    """Prompt -> finish reasons to answer with first."""
    garbage: dict[str, list[bytes]] = field(default_factory=dict)
    """Prompt -> bytes that are called a success and answered with first."""
    retry_after: str = "0.05"
    proxy_status: int = 0
    """What a proxy before it answers in its place, 0 while it is there."""
    away: bool = False
    """Whether connections are closed without an answer, as those of a server that is gone."""
    active: int = 0
    most_active: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    url: str = ""

    def answer(self, body: dict[str, Any]) -> tuple[int, dict[str, Any] | bytes]:
        chat = "messages" in body
        prompt = body["messages"][-1]["content"] if chat else body["prompt"]
        if isinstance(prompt, list):
            prompt = load_tokenizer(self.model).decode(prompt)
        with self.lock:
            self.bodies.append(body)
            if garbage := self.garbage.get(prompt):
                return 200, garbage.pop(0)
            statuses = self.faults.get(prompt, [])
            status = statuses.pop(0) if statuses else 200
            if status != 200:
                return status, self.fault or {"error": {"message": f"status {status} of {body}"}}
            if wrong := [name for name, taken in self.refuses.items() if name in body and body[name] not in taken]:
                return 400, {"error": {"message": self.refusal.format(names=", ".join(wrong))}}
            done = self.completion(prompt, body)
        ended = reasons.pop(0) if (reasons := self.reasons.get(prompt)) else done.finish_reason
        choice = {"message": {"content": done.text}} if chat else {"text": done.text}
        usage = {"prompt_tokens": done.prompt_tokens, "completion_tokens": done.completion_tokens}
        return 200, {"choices": [{**choice, "finish_reason": ended}], "usage": usage}

    def completion(self, prompt: str, body: dict[str, Any]) -> Completion:
        if self.write is not None:
            return Completion("", self.write(prompt), "stop", 1, 1)
        assert self.engine is not None
        sampling = Sampling(temperature=body["temperature"], max_new_tokens=body["max_tokens"])
        (done,) = self.engine.stream([Request("", prompt, body["seed"])], sampling)
        return done


def handler(server: ModelServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if server.proxy_status:
                return self.reply(server.proxy_status, b"<html>no upstream</html>")
            self.reply(200, server.listed or {"data": [{"id": name} for name in server.models]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if server.away:
                self.close_connection = True
                return
            if server.proxy_status:
                return self.reply(server.proxy_status, b"<html>no upstream</html>")
            with server.lock:
                server.active += 1
                server.most_active = max(server.most_active, server.active)
                server.keys.add(self.headers.get("Authorization"))
            status, content = server.answer(body)
            with server.lock:
                server.active -= 1
            if status:
                self.reply(status, content)
            else:
                self.close_connection = True

        def reply(self, status: int, content: dict[str, Any] | bytes) -> None:
            raw = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            if status in (429, 503):
                self.send_header("Retry-After", server.retry_after)
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


@contextmanager
def serving(server: ModelServer) -> Iterator[ModelServer]:
    """The server on a free port, at `server.url`."""
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler(server))
    server.url = f"http://127.0.0.1:{http.server_port}/v1"
    thread = threading.Thread(target=http.serve_forever, args=[0.02], daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
