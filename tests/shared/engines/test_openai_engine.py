"""The server engine against a real HTTP server that runs a real model and misbehaves on request."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tasks.shared.engines.factory import make_engine
from tasks.shared.engines.openai_engine import OpenAIEngine
from tasks.shared.engines.prompt_form import PromptForm
from tasks.shared.engines.protocol import Request, RequestsFailed, Sampling
from tasks.shared.engines.tokens import encode_prompts, load_tokenizer
from tasks.shared.engines.transformers_engine import TransformersEngine
from tasks.spine.store.runtime import Runtime

GREEDY = Sampling(temperature=0, max_new_tokens=16)


@dataclass
class Server:
    """An OpenAI-compatible server around the transformers engine."""

    engine: TransformersEngine
    model: Path
    models: list[str] = field(default_factory=lambda: ["talking"])
    faults: dict[str, list[int]] = field(default_factory=dict)
    """Prompt -> statuses to answer with first; 0 closes the connection without an answer."""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: set[str | None] = field(default_factory=set)
    active: int = 0
    most_active: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    url: str = ""

    def answer(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        chat = "messages" in body
        prompt = body["messages"][-1]["content"] if chat else body["prompt"]
        if isinstance(prompt, list):
            prompt = load_tokenizer(self.model).decode(prompt)
        with self.lock:
            self.bodies.append(body)
            statuses = self.faults.get(prompt, [])
            status = statuses.pop(0) if statuses else 200
            if status != 200:
                return status, {"error": {"message": f"status {status}"}}
            sampling = Sampling(temperature=body["temperature"], max_new_tokens=body["max_tokens"])
            (done,) = self.engine.stream([Request("", prompt, body["seed"])], sampling)
        choice = {"message": {"content": done.text}} if chat else {"text": done.text}
        usage = {"prompt_tokens": done.prompt_tokens, "completion_tokens": done.completion_tokens}
        return 200, {"choices": [{**choice, "finish_reason": done.finish_reason}], "usage": usage}


def handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.reply(200, {"data": [{"id": name} for name in server.models]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
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

        def reply(self, status: int, content: dict[str, Any]) -> None:
            raw = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            if status == 429:
                self.send_header("Retry-After", "0.05")
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


@pytest.fixture
def server(talking_model: Path) -> Iterator[Server]:
    state = Server(TransformersEngine(talking_model, device="cpu", dtype="float32", batch_size=1), talking_model)
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler(state))
    state.url = f"http://127.0.0.1:{http.server_port}/v1"
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield state
    http.shutdown()
    http.server_close()
    thread.join()


def client(server: Server, **options: Any) -> OpenAIEngine:
    return OpenAIEngine(base_url=server.url, first_delay_s=0.01, **options)


def requests(count: int) -> list[Request]:
    return [Request(f"k{index}", f"the sum of {index} is", index) for index in range(count)]


def test_completions_are_those_of_the_model(server: Server) -> None:
    found = {item.key: item for item in client(server, concurrency=4).stream(requests(12), GREEDY)}
    direct = {item.key: item for item in server.engine.stream(requests(12), GREEDY)}
    assert found == direct
    assert 1 < server.most_active <= 4
    assert {body["model"] for body in server.bodies} == {"talking"}


def test_special_tokens_are_asked_for_by_name(server: Server) -> None:
    list(client(server).stream(requests(1), GREEDY))
    (body,) = server.bodies
    assert (body["skip_special_tokens"], body["spaces_between_special_tokens"]) == (False, False)


def test_transient_errors_are_retried_and_disturb_nobody(server: Server) -> None:
    server.faults = {requests(9)[2].prompt: [429, 429], requests(9)[5].prompt: [500, 503], requests(9)[7].prompt: [0]}
    found = list(client(server, concurrency=3).stream(requests(9), GREEDY))
    assert Counter(item.key for item in found) == Counter(f"k{index}" for index in range(9))
    assert len(server.bodies) == 9 + 5


def test_hopeless_requests_are_listed_after_all_others_were_served(server: Server) -> None:
    server.faults = {requests(9)[0].prompt: [503] * 99, requests(9)[4].prompt: [400]}
    served: list[str] = []
    stream = client(server, concurrency=2, max_attempts=3).stream(requests(9), GREEDY)
    with pytest.raises(RequestsFailed, match=r"2 requests failed.*k0: HTTP 503.*3 attempts.*k4: HTTP 400") as caught:
        served.extend(item.key for item in stream)
    assert set(caught.value.failures) == {"k0", "k4"}
    assert sorted(served) == ["k1", "k2", "k3", "k5", "k6", "k7", "k8"]
    assert sum(body["prompt"] == requests(9)[4].prompt for body in server.bodies) == 1


def test_messages_go_to_the_chat_endpoint(server: Server) -> None:
    (found,) = client(server, endpoint="chat").stream(requests(1), GREEDY)
    assert server.bodies[0]["messages"] == [{"role": "user", "content": "the sum of 0 is"}]
    assert found.text == next(server.engine.stream(requests(1), GREEDY)).text


def test_rendered_prompts_travel_as_token_ids_through_the_factory(server: Server) -> None:
    """So that no server adds a second begin-of-text token."""
    engine = make_engine(server.model, Runtime(engine="openai", openai_base_url=server.url), PromptForm())
    found = {item.key: item for item in engine.stream(requests(3), GREEDY)}
    assert found == {item.key: item for item in server.engine.stream(requests(3), GREEDY)}
    sent = sorted(body["prompt"] for body in server.bodies)
    assert sent == sorted(encode_prompts(load_tokenizer(server.model), [item.prompt for item in requests(3)]))


def test_settings_reach_the_server(server: Server) -> None:
    sampling = Sampling(temperature=0.5, top_p=0.9, top_k=7, max_new_tokens=3, stop=("\n",))
    list(client(server).stream(requests(1), sampling))
    expected = {"temperature": 0.5, "top_p": 0.9, "top_k": 7, "max_tokens": 3, "stop": ["\n"], "seed": 0}
    assert expected.items() <= server.bodies[0].items()


def test_the_key_comes_from_the_environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    list(client(server).stream(requests(1), GREEDY))
    monkeypatch.setenv("OPENAI_API_KEY", "from-the-environment")
    list(client(server).stream(requests(1), GREEDY))
    assert server.keys == {None, "Bearer from-the-environment"}


def test_a_choice_of_models_has_to_be_made(server: Server) -> None:
    server.models = ["one", "two"]
    with pytest.raises(ValueError, match=r"serves 2 models \(one, two\); set runtime\.openai_model"):
        client(server)
    list(client(server, model="two").stream(requests(1), GREEDY))
    assert server.bodies[0]["model"] == "two"


def test_leaving_a_stream_ends_its_requests(server: Server) -> None:
    stream = client(server, concurrency=1).stream(requests(200), GREEDY)
    next(stream)
    stream.close()
    assert len(server.bodies) < 100
