"""Ways to a server: past proxies, with a word while it does not answer, and closed to other websites."""

import http.server
import json
import logging
import os
import socket
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from flows.pipeline.run import pipeline
from flows.server import reaching
from flows.server.environment import prepare
from flows.server.guard import OwnOriginOnly
from flows.server.reaching import go_around_proxies, wait_for_server
from flows.server.ui import check_ports
from tasks.errors import Permanent
from tasks.logs import hide_passwords_in_logs
from tasks.spine.store.runtime import Runtime
from tasks.spine.store.settings import Settings
from tests.support.network import free_port

PROXY = "http://127.0.0.1:9"
"""Nothing listens there."""


class Server(http.server.BaseHTTPRequestHandler):
    """Answers what it is told to, then 200."""

    answers: Iterator[int] = iter(())

    def do_GET(self) -> None:
        self.send_response(next(self.answers, 200))
        self.send_header("Content-Type", "application/json" if self.path.startswith("/api") else "text/html")
        self.end_headers()


@pytest.fixture
def server() -> Iterator[str]:
    with http.server.HTTPServer(("127.0.0.1", 0), Server) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/api"
        running.shutdown()


@pytest.fixture
def proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        for key in (name, name.lower()):
            monkeypatch.setenv(key, "internal.example" if name == "NO_PROXY" else PROXY)
    # Made at the first request of a process, with the proxies of then.
    monkeypatch.setattr(urllib.request, "_opener", None)


def test_a_proxy_never_stands_before_a_server_of_this_machine(proxies: None, server: str) -> None:
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(server)
    go_around_proxies()
    wait_for_server(server, None, print)
    for name in ("127.0.0.1", "localhost", "0.0.0.0"):
        assert httpx.get(server.replace("127.0.0.1", name)).status_code == 200
    assert socket.gethostname() in os.environ["no_proxy"].split(",")
    assert os.environ["NO_PROXY"].split(",")[0] == "internal.example"
    assert os.environ["HTTP_PROXY"] == PROXY, "the world outside is still reached through it"


def test_a_socks_proxy_does_not_stop_what_cannot_speak_to_it(
    proxies: None, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    monkeypatch.setattr(reaching.importlib.util, "find_spec", lambda _: None)
    go_around_proxies()
    assert httpx.get(server).status_code == 200


def test_a_server_that_does_not_answer_is_said_after_two_seconds_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaching, "SAY_AFTER_S", 0.2)
    monkeypatch.setattr(reaching, "SAY_EVERY_S", 0.4)
    monkeypatch.setattr(reaching, "PATIENCE_S", 1.5)
    said: list[str] = []
    address = f"http://me:secret@127.0.0.1:{free_port()}/api"
    with pytest.raises(ValueError, match=r"no Prefect server at http://\*\*\*@.*refused.*unset PREFECT_API_URL"):
        wait_for_server(address, None, said.append)
    assert len(said) >= 2
    assert all("PREFECT_API_URL" in line and "refused" in line and "secret" not in line for line in said)


def test_a_busy_server_is_waited_for_and_one_that_wants_a_key_is_there(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Server, "answers", iter((503, 429, 401)))
    wait_for_server(server, None, print)
    assert next(Server.answers, None) is None


def test_the_address_of_the_pages_is_not_taken_for_that_of_the_api(server: str) -> None:
    with pytest.raises(ValueError, match=r"PREFECT_API_URL=.* a web page .* write it as http://HOST:PORT/api"):
        wait_for_server(server.removesuffix("/api"), None, print)
    wait_for_server(f"{server}/", None, print)


@pytest.mark.parametrize("address", ["127.0.0.1:4200/api", "htp://x/api"])
def test_what_is_no_address_is_refused_at_once(address: str) -> None:
    with pytest.raises(ValueError, match="PREFECT_API_URL"):
        wait_for_server(address, None, print)


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"MIDTRAIN_HOME=.*file/home cannot be written"):
        prepare(Settings(home=tmp_path / "file" / "home"))


@pytest.fixture
def record_factory() -> Iterator[None]:
    """Puts back how records of logs are made."""
    factory = logging.getLogRecordFactory()
    logging.setLogRecordFactory(logging.LogRecord)
    yield
    logging.setLogRecordFactory(factory)


@pytest.mark.usefixtures("record_factory")
def test_logs_of_every_library_hide_passwords(caplog: pytest.LogCaptureFixture) -> None:
    hide_passwords_in_logs()
    logging.getLogger("some.library").warning("no answer from %s", "postgresql://me:secret@host/db")
    assert caplog.messages == ["no answer from postgresql://***@host/db"]


@pytest.mark.usefixtures("record_factory")
def test_errors_in_logs_hide_passwords_too(caplog: pytest.LogCaptureFixture) -> None:
    hide_passwords_in_logs()
    try:
        try:
            raise OSError("postgresql://me:secret@host/db is away")
        except OSError as error:
            raise RuntimeError("MLflow does not answer") from error
    except RuntimeError:
        logging.getLogger("some.library").exception("failed")
    assert "OSError: postgresql://***@host/db is away" in caplog.text
    assert "RuntimeError: MLflow does not answer" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.usefixtures("record_factory")
def test_a_run_that_no_command_began_hides_passwords_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MIDTRAIN_HOME", str(tmp_path))
    with pipeline("some", Runtime(), {}):
        logging.getLogger("some.library").warning("no answer from postgresql://me:secret@host/db")
    assert "secret" not in caplog.text
    with pytest.raises(Permanent, match=r"^https://host/x\?sig=\*\*\* is away$"), pipeline("some", Runtime(), {}):
        raise Permanent("https://host/x?sig=secret is away")
    with pytest.raises(RuntimeError, match=r"^FileNotFoundError: .*\?token=\*\*\*'$"), pipeline("some", Runtime(), {}):
        raise FileNotFoundError(2, "No such file", "https://host/x?token=secret")


def test_a_taken_port_is_refused_and_a_free_one_proposed() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ValueError, match=f"port {port} cannot be had.*such as --mlflow-port [0-9]+$") as refused:
            check_ports({"prefect": free_port(), "mlflow": port})
        proposed = int(str(refused.value).rpartition(" ")[2])
        assert proposed > port
        check_ports({"prefect": free_port(), "mlflow": proposed})
    with pytest.raises(ValueError, match="both servers on port"):
        check_ports({"prefect": port, "mlflow": port})
    with pytest.raises(ValueError, match="--prefect-port"):
        check_ports({"prefect": 70000, "mlflow": port})
    with pytest.raises(ValueError, match="port 65536 is none; pass one from 1 to 65535 as --mlflow-port"):
        check_ports({"prefect": free_port(), "mlflow": 65536})
    with pytest.raises(ValueError, match="port 0 is none; pass one from 1 to 65535 as --prefect-port"):
        check_ports({"prefect": 0, "mlflow": port})


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close()


GUARDED = OwnOriginOnly(
    Starlette(
        routes=[
            Route("/api", lambda _: PlainTextResponse("yes"), methods=["GET", "POST"]),
            WebSocketRoute("/api/events", echo),
        ]
    )
)


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("127.0.0.1:4200", None, 200),
        ("localhost:4200", "http://localhost:4200", 200),
        ("127.0.0.1:4200", "http://localhost:4200", 200),
        ("[::1]:4200", None, 200),
        ("evil.example:4200", None, 403),
        ("evil.example:4200", "http://evil.example:4200", 403),
        ("127.0.0.1.evil.example", None, 403),
        ("127.0.0.1:4200", "http://evil.example", 403),
        ("127.0.0.1:4200", "http://localhost:8080", 403),
        ("127.0.0.1:4200", "https://127.0.0.1.evil.example:4200", 403),
        ("127.0.0.1:4200", "null", 403),
        ("127.0.0.1:4200", "", 403),
    ],
)
def test_only_the_own_host_and_origin_are_answered(host: str, origin: str | None, status: int) -> None:
    client = TestClient(GUARDED, base_url="http://127.0.0.1:4200")
    headers = {"Host": host, **({} if origin is None else {"Origin": origin})}
    assert client.post("/api", content=json.dumps({}), headers=headers).status_code == status
    if status == 200:
        with client.websocket_connect("/api/events", headers=headers):
            pass
    else:
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("/api/events", headers=headers):
            pass
