"""Calls that wait for a Prefect server which is away, and for nothing else."""

import http.server
import threading
import time

import httpx
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from tasks.spine.stage import prefect_retry
from tasks.spine.stage.prefect_retry import retry_while_unreachable
from tests.support.network import free_port


def get(port: int) -> int:
    return httpx.get(f"http://127.0.0.1:{port}/api/health").status_code


def test_a_server_that_is_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefect_retry, "POLL_S", 0.05)
    port, tries = free_port(), []

    def call() -> int:
        tries.append(time.monotonic())
        try:
            return get(port)
        except httpx.ConnectError as error:
            raise RuntimeError("no slot") from error

    def come_back() -> None:
        while len(tries) < 3:
            time.sleep(0.01)
        with http.server.HTTPServer(("127.0.0.1", port), http.server.SimpleHTTPRequestHandler) as server:
            server.handle_request()

    back = threading.Thread(target=come_back)
    back.start()
    with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{port}/api"}):
        assert retry_while_unreachable(call) == 404
    back.join()
    assert len(tries) >= 3


@pytest.mark.parametrize("patience_s", [0.0, 600.0])
def test_other_errors_and_a_server_that_stays_away_are_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, patience_s: float
) -> None:
    monkeypatch.setattr(prefect_retry, "PATIENCE_S", patience_s)
    port = free_port()
    server = port if patience_s == 0 else free_port()
    tries: list[int] = []
    with (
        temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{server}/api"}),
        pytest.raises(httpx.ConnectError),
    ):
        retry_while_unreachable(lambda: tries.append(0) or get(port))
    assert len(tries) == 1


class Busy(http.server.BaseHTTPRequestHandler):
    """Says twice that it has no time, as Prefect's server does while its database is locked."""

    answers = iter((503, 503, 200))

    def do_GET(self) -> None:
        self.send_response(next(self.answers))
        self.end_headers()


def test_a_server_that_has_no_time_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefect_retry, "POLL_S", 0.05)
    tries: list[int] = []
    with http.server.HTTPServer(("127.0.0.1", 0), Busy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        api = f"http://127.0.0.1:{server.server_port}/api"
        with temporary_settings({PREFECT_API_URL: api}):
            assert retry_while_unreachable(lambda: tries.append(0) or _checked(f"{api}/health")) == 200
        server.shutdown()
    assert len(tries) == 3


def _checked(address: str) -> int:
    return httpx.get(address).raise_for_status().status_code
