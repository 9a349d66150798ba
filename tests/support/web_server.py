"""A web server on this machine that sends files as web servers do: with ranges or without, in crumbs, cut off."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    files: Mapping[str, bytes]

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        """The first part of the path says how: `plain`, `crumbs` (chunks of a byte, no length), `cut`, or a status."""
        manner, _, name = unquote(urlsplit(self.path).path).strip("/").partition("/")
        if manner.isdigit():
            self.send_response(int(manner))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data = self.files[name]
        self.send_response(200)
        if manner == "crumbs":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(b"".join(b"1\r\n%b\r\n" % data[place : place + 1] for place in range(len(data))))
                self.wfile.write(b"0\r\n\r\n")
            return
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data[: len(data) // 2] if manner == "cut" else data)
            self.close_connection = manner == "cut"

    def log_message(self, format: str, *args: object) -> None: ...


@contextmanager
def serve_files(files: Mapping[str, bytes]) -> Iterator[str]:
    """Serve the files; yields the address, to which a manner and a name are added."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"files": files}))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
