"""The way that a refused password is told to go instead."""

import http.server
import shlex
import threading

import fsspec
import pytest
from aiohttp import ClientResponseError
from fsspec import config

from tasks.recipe.merging import WEB_KEY


class Locked(http.server.BaseHTTPRequestHandler):
    """Answers those with the key."""

    def do_GET(self) -> None:
        self.send_response(200 if self.headers.get("Authorization") == "Bearer KEY" else 401)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_HEAD = do_GET


def test_the_variable_that_a_refusal_names_opens_a_web_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "conf", found := {})
    name, _, value = shlex.split(WEB_KEY)[0].partition("=")
    config.set_conf_env(found, {name: value})
    assert found["http"]["headers"] == {"Authorization": "Bearer KEY"}
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Locked) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/rows.jsonl"
        assert fsspec.filesystem("http", skip_instance_cache=True).cat_file(address) == b"{}"
        found.clear()
        with pytest.raises(ClientResponseError, match="401"):
            fsspec.filesystem("http", skip_instance_cache=True).cat_file(address)
        server.shutdown()
