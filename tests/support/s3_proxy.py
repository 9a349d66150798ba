"""A proxy before an S3 server that breaks what a test tells it to break."""

import http.client
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

BLOCK = 64 * 1024
OWN_HEADERS = {"connection", "content-length", "date", "server", "transfer-encoding"}


@dataclass
class Fault:
    """What happens to requests that it matches, until it has happened `times` times."""

    kind: str
    """`status` (answered with `status`), `reset` (connection reset before the request goes on), `lost` (the request
    is done, then reset), `cut` (reset after half of the answer's body), `slow` (`delay_s` before each block)."""
    matches: Callable[[str, str], bool] = lambda method, path: True
    times: int = 1
    status: int = 500
    delay_s: float = 0.0
    seen: list[str] = field(default_factory=list)


class Proxy:
    """Passes requests on to `upstream` and does `faults` to them; `away` refuses connections altogether."""

    def __init__(self, upstream: str) -> None:
        self.upstream = urlsplit(upstream)
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, str]] = []
        self.is_away = False
        self._lock = threading.Lock()
        self._server = self._listen(0)

    @property
    def address(self) -> str:
        """What to put into AWS_ENDPOINT_URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def add(self, kind: str, **fields: object) -> Fault:
        """Have a fault happen to the next requests that it matches."""
        fault = Fault(kind, **fields)  # type: ignore[arg-type]
        self.faults.append(fault)
        return fault

    @contextmanager
    def away(self) -> Iterator[None]:
        """Inside the block nobody listens at the address, and connections that are open break at their next use."""
        port = self._server.server_address[1]
        self.is_away = True
        self.close()
        try:
            yield
        finally:
            self._server = self._listen(port)
            self.is_away = False

    def away_for(self, seconds: float) -> threading.Thread:
        """Be away from now on for some seconds, in a thread of its own."""
        gone = threading.Event()

        def stay() -> None:
            with self.away():
                gone.set()
                time.sleep(seconds)

        thread = threading.Thread(target=stay)
        thread.start()
        gone.wait()
        return thread

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def fault_for(self, method: str, path: str) -> Fault | None:
        """The fault that this request meets, if any; notes the request."""
        with self._lock:
            self.requests.append((method, path))
            for fault in self.faults:
                if len(fault.seen) < fault.times and fault.matches(method, path):
                    fault.seen.append(path)
                    return fault
        return None

    def _listen(self, port: int) -> ThreadingHTTPServer:
        handler = type("Handler", (_Handler,), {"proxy": self})
        server = _Server(("127.0.0.1", port), handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return server


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that break connections off are none of a test's news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: Proxy

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed."""

    def _pass_on(self) -> None:
        fault = self.proxy.fault_for(self.command, self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.proxy.is_away or (fault and fault.kind == "reset"):
            return self._reset()
        if fault and fault.kind == "status":
            return self._answer(fault.status, {}, b"", None)
        upstream = http.client.HTTPConnection(self.proxy.upstream.hostname or "", self.proxy.upstream.port)
        upstream.request(self.command, self.path, body, dict(self.headers))
        answer = upstream.getresponse()
        content, headers = answer.read(), dict(answer.getheaders())
        upstream.close()
        if fault and fault.kind == "lost":
            return self._reset()
        self._answer(answer.status, headers, content, fault)
        return None

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass_on

    def _answer(self, status: int, headers: dict[str, str], content: bytes, fault: Fault | None) -> None:
        self.send_response_only(status)
        length = str(len(content))
        for name, value in headers.items():
            if name.lower() == "content-length" and self.command == "HEAD":
                length = value
            elif name.lower() not in OWN_HEADERS:
                self.send_header(name, value)
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command == "HEAD":
            return
        end = len(content) // 2 if fault and fault.kind == "cut" else len(content)
        for start in range(0, end, BLOCK):
            if fault and fault.kind == "slow":
                time.sleep(fault.delay_s)
            self.wfile.write(content[start : min(end, start + BLOCK)])
        if fault and fault.kind == "cut":
            self._reset()

    def _reset(self) -> None:
        """Close with RST, as a machine that went down does."""
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # The reader and writer hold the socket too, so that closing the connection alone would send nothing.
        os.close(self.connection.detach())
        self.close_connection = True


@contextmanager
def proxy_before(upstream: str) -> Iterator[Proxy]:
    """A proxy for the time of a block."""
    proxy = Proxy(upstream)
    try:
        yield proxy
    finally:
        proxy.close()
