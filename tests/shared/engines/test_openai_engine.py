"""The server engine against a real HTTP server that runs a real model and misbehaves on request."""

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import Permanent
from tasks.shared.engines import openai_fields
from tasks.shared.engines.factory import make_engine
from tasks.shared.engines.openai_engine import OpenAIEngine
from tasks.shared.engines.prompt_form import PromptForm
from tasks.shared.engines.protocol import Request, RequestsFailed, Sampling
from tasks.shared.engines.tokens import encode_prompts, load_tokenizer
from tasks.shared.engines.transformers_engine import TransformersEngine
from tasks.spine.store.runtime import Runtime
from tests.support.model_server import ModelServer, handler, serving
from tests.support.network import free_port

GREEDY = Sampling(temperature=0, max_new_tokens=16)


@pytest.fixture
def server(talking_model: Path) -> Iterator[ModelServer]:
    engine = TransformersEngine(talking_model, device="cpu", dtype="float32", batch_size=1)
    with serving(ModelServer(engine, talking_model)) as server:
        yield server


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was said of fields that the server refuses."""
    return [record.getMessage() for record in caplog.records if record.name == openai_fields.__name__]


def client(server: ModelServer, **options: Any) -> OpenAIEngine:
    return OpenAIEngine(base_url=server.url, first_delay_s=0.01, **options)


def requests(count: int) -> list[Request]:
    return [Request(f"k{index}", f"the sum of {index} is", index) for index in range(count)]


def test_completions_are_those_of_the_model(server: ModelServer) -> None:
    found = {item.key: item for item in client(server, concurrency=4).stream(requests(12), GREEDY)}
    direct = {item.key: item for item in server.engine.stream(requests(12), GREEDY)}
    assert found == direct
    assert 1 < server.most_active <= 4
    assert {body["model"] for body in server.bodies} == {"talking"}


def test_special_tokens_are_asked_for_by_name(server: ModelServer) -> None:
    list(client(server).stream(requests(1), GREEDY))
    (body,) = server.bodies
    assert (body["skip_special_tokens"], body["spaces_between_special_tokens"]) == (False, False)


def test_transient_errors_are_retried_and_disturb_nobody(server: ModelServer) -> None:
    server.faults = {requests(9)[2].prompt: [429, 429], requests(9)[5].prompt: [500, 503], requests(9)[7].prompt: [0]}
    found = list(client(server, concurrency=3).stream(requests(9), GREEDY))
    assert Counter(item.key for item in found) == Counter(f"k{index}" for index in range(9))
    assert len(server.bodies) == 9 + 5


def test_being_turned_away_costs_no_attempt_and_is_said_once(
    server: ModelServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.faults = {
        request.prompt: [status] * 9 for request, status in zip(requests(5), [429, 502, 503, 504, 522], strict=True)
    }
    found = list(client(server, max_attempts=1).stream(requests(6), GREEDY))
    assert Counter(item.key for item in found) == Counter(f"k{index}" for index in range(6))
    (line,) = caplog.messages
    assert re.fullmatch(
        r"runtime\.openai_base_url=.* takes no request now \(HTTP .*\); it is waited for, .* 600 s", line
    )


def test_a_request_that_is_turned_away_while_others_are_served_fails_alone(server: ModelServer) -> None:
    server.faults = {requests(1)[0].prompt: [504] * 999}
    served = []
    stream = client(server, concurrency=2, away_patience_s=0.5).stream(requests(40), GREEDY)
    with pytest.raises(RequestsFailed, match=r"1 requests failed.*k0: HTTP 504.* while it served others"):
        served += stream
    assert len(served) == 39


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (
            429,
            {"message": "You exceeded your quota", "type": "tokens", "code": "insufficient_quota"},
        ),
        (429, {"message": "suspended", "type": "exceeded_current_quota_error"}),
        (402, {"message": "Insufficient Balance", "type": "unknown_error"}),
    ],
)
def test_a_spent_quota_ends_the_stream_at_once_and_says_what_to_do(
    server: ModelServer, status: int, error: dict[str, str]
) -> None:
    server.faults, server.fault = {requests(3)[2].prompt: [status] * 99}, json.dumps({"error": error}).encode()
    served = []
    with pytest.raises(Permanent, match=r"openai_base_url=.*quota of this key is spent .*set OPENAI_API_KEY"):
        served += client(server, concurrency=1).stream(requests(9), GREEDY)
    assert (len(served), len(server.bodies)) == (2, 3)


@pytest.mark.parametrize("after", ["0", "-1", "\xb2", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_a_server_that_asks_for_no_pause_or_an_odd_one_gets_the_usual_pause(server: ModelServer, after: str) -> None:
    server.faults, server.retry_after = {requests(1)[0].prompt: [429, 529]}, after
    assert len(list(client(server).stream(requests(1), GREEDY))) == 1
    assert client(server)._delay_s(3, after) > 0


GARBAGE = [b"", b"<html>busy</html>", b"\xff\xfe\x00", b'{"error": "busy"}', b'{"choices": []}', b"[" * 200_000]


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_an_answer_that_holds_no_completion_is_tried_again(server: ModelServer, garbage: bytes) -> None:
    server.garbage = {requests(2)[0].prompt: [garbage], requests(2)[1].prompt: [garbage] * 2}
    engine, served = client(server, max_attempts=2), []
    with pytest.raises(RequestsFailed, match=r"k1: not an OpenAI completion .*2 attempts"):
        served += engine.stream(requests(2), GREEDY)
    assert [item.key for item in served] == ["k0"]


def test_a_completion_in_another_form_is_listed_and_takes_no_others_down(server: ModelServer) -> None:
    answers = [{"prompt_tokens": float("inf"), "completion_tokens": 1}, None]
    for request, usage in zip(requests(2), answers, strict=True):
        choice = {"text": "5", "finish_reason": "stop"}
        server.garbage[request.prompt] = [json.dumps({"choices": [choice], "usage": usage}).encode()] * 9
    served = []
    with pytest.raises(RequestsFailed, match=r"2 requests failed.*k0: not an .*k1: not an OpenAI completion"):
        served += client(server).stream(requests(3), GREEDY)
    assert [item.key for item in served] == ["k2"]


def test_hopeless_requests_are_listed_after_all_others_were_served(server: ModelServer) -> None:
    server.faults = {requests(9)[0].prompt: [500] * 99, requests(9)[4].prompt: [400] * 99}
    served: list[str] = []
    stream = client(server, concurrency=2, max_attempts=3).stream(requests(9), GREEDY)
    with pytest.raises(RequestsFailed, match=r"2 requests failed.*k0: HTTP 500.*3 attempts.*k4: HTTP 400") as caught:
        served.extend(item.key for item in stream)
    assert set(caught.value.failures) == {"k0", "k4"}
    assert sorted(served) == ["k1", "k2", "k3", "k5", "k6", "k7", "k8"]
    tries = [body for body in server.bodies if body["prompt"] == requests(9)[4].prompt]
    assert len(tries) <= 4, "a request that is refused whatever fields it has is not tried again"


def test_messages_go_to_the_chat_endpoint(server: ModelServer) -> None:
    (found,) = client(server, endpoint="chat").stream(requests(1), GREEDY)
    assert server.bodies[0]["messages"] == [{"role": "user", "content": "the sum of 0 is"}]
    assert found.text == next(server.engine.stream(requests(1), GREEDY)).text


@pytest.mark.parametrize(
    ("message", "ended", "text"),
    [
        ({"reasoning_content": "2 + 3", "content": "5"}, "stop", "<think>\n2 + 3\n</think>\n\n5"),
        ({"reasoning": "2 + 3", "content": "5"}, "stop", "<think>\n2 + 3\n</think>\n\n5"),
        ({"reasoning": "2 + 3 is 5, or", "content": None}, "length", "<think>\n2 + 3 is 5, or"),
        ({"reasoning": None, "content": "5"}, "stop", "5"),
    ],
)
def test_a_thought_that_a_server_parts_from_the_answer_stays_in_the_text(
    server: ModelServer, message: dict[str, Any], ended: str, text: str
) -> None:
    choice, usage = {"message": message, "finish_reason": ended}, {"prompt_tokens": 1, "completion_tokens": 9}
    server.garbage = {requests(1)[0].prompt: [json.dumps({"choices": [choice], "usage": usage}).encode()]}
    (found,) = client(server, endpoint="chat").stream(requests(1), GREEDY)
    assert (found.text, found.finish_reason) == (text, ended)


def test_rendered_prompts_travel_as_token_ids_through_the_factory(server: ModelServer) -> None:
    """So that no server adds a second begin-of-text token."""
    engine = make_engine(server.model, Runtime(engine="openai", openai_base_url=server.url), PromptForm())
    found = {item.key: item for item in engine.stream(requests(3), GREEDY)}
    assert found == {item.key: item for item in server.engine.stream(requests(3), GREEDY)}
    sent = sorted(body["prompt"] for body in server.bodies)
    assert sent == sorted(encode_prompts(load_tokenizer(server.model), [item.prompt for item in requests(3)]))


def test_settings_reach_the_server(server: ModelServer) -> None:
    sampling = Sampling(temperature=0.5, top_p=0.9, top_k=7, max_new_tokens=3, stop=("\n",))
    list(client(server).stream(requests(1), sampling))
    expected = {"temperature": 0.5, "top_p": 0.9, "top_k": 7, "max_tokens": 3, "stop": ["\n"], "seed": 0}
    assert expected.items() <= server.bodies[0].items()


NEUTRAL = {
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "top_k": -1,
    "min_p": 0,
    "repetition_penalty": 1,
    "repeat_penalty": 1,
    "typical_p": 1,
}


@pytest.mark.parametrize("endpoint", ["completions", "chat"])
@pytest.mark.parametrize("sampling", [GREEDY, Sampling(top_p=1.0, max_new_tokens=3)])
def test_every_sampling_field_is_sent_with_its_neutral_value(
    server: ModelServer, endpoint: Any, sampling: Sampling, caplog: pytest.LogCaptureFixture
) -> None:
    """A server would take from the model's generation config, or from defaults of its own, what is left out."""
    engine = client(server, endpoint=endpoint)
    list(engine.stream(requests(1), sampling))
    sent = NEUTRAL | {"temperature": sampling.temperature, "top_p": sampling.top_p, "seed": 0}
    assert sent.items() <= server.bodies[0].items()
    assert warned(caplog) == []


@pytest.mark.parametrize("refusal", ["unknown: {names}", "extra inputs are not permitted"])
def test_only_fields_that_a_server_refuses_are_left_out_and_that_is_said_once(
    server: ModelServer, refusal: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.refuses = {name: set() for name in NEUTRAL.keys() - {"presence_penalty", "frequency_penalty"}}
    server.refusal = refusal
    engine = client(server, concurrency=3)
    found = {item.key: item for item in engine.stream(requests(9), GREEDY)}
    assert found == {item.key: item for item in server.engine.stream(requests(9), GREEDY)}
    assert {"presence_penalty": 0.0, "frequency_penalty": 0.0, "temperature": 0.0}.items() <= server.bodies[-1].items()
    assert not server.refuses.keys() & server.bodies[-1].keys()
    (note,) = warned(caplog)
    assert all(name in note for name in server.refuses)
    before = len(server.bodies)
    list(engine.stream(requests(9), GREEDY))
    assert len(server.bodies) == before + 9
    assert warned(caplog) == [note]


def test_a_neutral_value_is_written_as_the_server_takes_it(
    server: ModelServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.refuses = {"top_k": {0}}
    engine = client(server, concurrency=1)
    list(engine.stream(requests(3), GREEDY))
    assert [body["top_k"] for body in server.bodies] == [-1, 0, 0, 0]
    assert warned(caplog) == []


def test_a_setting_that_a_server_refuses_is_never_left_out(server: ModelServer) -> None:
    server.refuses = {"top_k": {-1, 0}}
    with pytest.raises(RequestsFailed, match=r"k0: HTTP 400: .*unknown: top_k"):
        list(client(server).stream(requests(1), GREEDY.model_copy(update={"top_k": 20})))


def test_an_error_that_repeats_the_request_leaves_all_fields_in(
    server: ModelServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.faults = {requests(2)[0].prompt: [400] * 99}
    engine = client(server, concurrency=1)
    with pytest.raises(RequestsFailed, match="1 requests failed"):
        list(engine.stream(requests(2), GREEDY))
    assert NEUTRAL.items() <= server.bodies[-1].items()
    assert warned(caplog) == []


@pytest.mark.parametrize(
    ("reported", "kept"),
    [("stop", "stop"), ("eos", "stop"), ("length", "length"), ("repetition", "length"), ("model_length", "length")],
)
def test_a_completion_ends_or_is_cut(server: ModelServer, reported: str, kept: str) -> None:
    server.reasons = {requests(1)[0].prompt: [reported]}
    (found,) = client(server).stream(requests(1), GREEDY)
    assert found.finish_reason == kept
    assert len(server.bodies) == 1


@pytest.mark.parametrize("reported", ["content_filter", "abort", "error", "tool_calls", "something new", "", None])
def test_an_ending_that_is_none_is_tried_again_and_fails_in_the_end(server: ModelServer, reported: str | None) -> None:
    once, always = (request.prompt for request in requests(2))
    server.reasons = {once: [reported], always: [reported] * 3}
    served: list[str] = []
    with pytest.raises(RequestsFailed, match=rf"k1: finish reason {reported!r} .*3 attempts") as caught:
        served.extend(item.key for item in client(server, max_attempts=3).stream(requests(2), GREEDY))
    assert served == ["k0"]
    assert list(caught.value.failures) == ["k1"]
    assert len(server.bodies) == 2 + 3


def test_the_key_comes_from_the_environment(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    list(client(server).stream(requests(1), GREEDY))
    monkeypatch.setenv("OPENAI_API_KEY", "from-the-environment")
    list(client(server).stream(requests(1), GREEDY))
    assert server.keys == {None, "Bearer from-the-environment"}


def test_a_choice_of_models_has_to_be_made(server: ModelServer) -> None:
    server.models = ["one", "two"]
    with pytest.raises(ValueError, match=r"serves 2 models \(one, two\); set runtime\.openai_model"):
        client(server)
    list(client(server, model="two").stream(requests(1), GREEDY))
    assert server.bodies[0]["model"] == "two"


@pytest.mark.parametrize("model", ["", "named"])
def test_a_server_that_is_not_there_is_told_at_the_start_with_the_setting(model: str) -> None:
    address = f"http://127.0.0.1:{free_port()}/v1"
    began = time.monotonic()
    with pytest.raises(Permanent, match=rf"^runtime\.openai_base_url='{address}': no server .*refused.*; start it"):
        OpenAIEngine(base_url=address, model=model, start_patience_s=0.5)
    assert 0.5 <= time.monotonic() - began < 5


@pytest.mark.parametrize("address", ["127.0.0.1:8000/v1", "http://127.0.0.1:port/v1", ""])
def test_what_is_no_address_is_told_at_once(address: str) -> None:
    with pytest.raises(Permanent, match=r"runtime\.openai_base_url=.*is no address .*http://HOST:PORT/v1"):
        OpenAIEngine(base_url=address)


@contextmanager
def listening(server: ModelServer, port: int) -> Iterator[None]:
    """The server on a port, for a while."""
    http = ThreadingHTTPServer(("127.0.0.1", port), handler(server))
    server.away = False
    threading.Thread(target=http.serve_forever, args=[0.01], daemon=True).start()
    try:
        yield
    finally:
        # New connections are refused before the old ones are closed: a request meets the latter once.
        http.shutdown()
        http.server_close()
        server.away = True


def test_a_server_that_comes_a_little_later_is_waited_for(server: ModelServer) -> None:
    port = free_port()
    engines: list[OpenAIEngine] = []
    starting = threading.Thread(
        target=lambda: engines.append(OpenAIEngine(base_url=f"http://127.0.0.1:{port}/v1", first_delay_s=0.01))
    )
    starting.start()
    time.sleep(0.5)
    with listening(server, port):
        starting.join()
        assert len(list(engines[0].stream(requests(2), GREEDY))) == 2


def test_a_server_that_goes_away_is_waited_for_at_the_cost_of_no_attempt(server: ModelServer) -> None:
    port = free_port()
    with listening(server, port):
        options: dict[str, Any] = {"max_attempts": 3, "first_delay_s": 0.05, "concurrency": 1}
        stream = OpenAIEngine(base_url=f"http://127.0.0.1:{port}/v1", **options).stream(requests(20), GREEDY)
        served = [next(stream).key]
    time.sleep(1)
    with listening(server, port):
        served += [item.key for item in stream]
    assert Counter(served) == Counter(request.key for request in requests(20))


def test_a_proxy_whose_server_still_loads_is_waited_for_as_one_that_goes_away(server: ModelServer) -> None:
    server.proxy_status = 503
    threading.Timer(1.2, lambda: setattr(server, "proxy_status", 0)).start()
    engine = client(server, start_patience_s=0.1)
    server.proxy_status = 502
    threading.Timer(0.3, lambda: setattr(server, "proxy_status", 0)).start()
    assert len(list(engine.stream(requests(2), GREEDY))) == 2
    server.proxy_status = 503
    with pytest.raises(Permanent, match=r"the server turned all away for .*HTTP 503: <html>"):
        client(server, away_patience_s=0.5)


def test_a_server_that_stays_away_ends_the_stream_whatever_is_left(server: ModelServer) -> None:
    port = free_port()
    with listening(server, port):
        options: dict[str, Any] = {"first_delay_s": 0.05, "concurrency": 2, "away_patience_s": 0.5}
        stream = OpenAIEngine(base_url=f"http://127.0.0.1:{port}/v1", **options).stream(requests(10_000), GREEDY)
        next(stream)
    with pytest.raises(Permanent, match=r"went away and did not come back .* completed is kept"):
        list(stream)


@pytest.mark.parametrize("listed", [b"<html>", b"[]", b'{"data": [7]}'])
def test_a_server_that_lists_no_models_is_told_with_what_to_set(server: ModelServer, listed: bytes) -> None:
    server.listed = listed
    with pytest.raises(ValueError, match=r"lists no models .*set runtime\.openai_model"):
        client(server)


def test_leaving_a_stream_ends_its_requests(server: ModelServer) -> None:
    stream = client(server, concurrency=1).stream(requests(200), GREEDY)
    next(stream)
    stream.close()
    assert len(server.bodies) < 100
