"""A dataset hub on this machine: enough of the Hugging Face HTTP API for its own clients to find and stream one set."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlparse

COMMIT = "a" * 40


@contextmanager
def serve(dataset: str, files: dict[str, bytes]) -> Iterator[str]:
    """Serve `files` as the dataset's repository at commit `COMMIT`; yields the endpoint."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(dataset, files))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _handler(dataset: str, files: dict[str, bytes]) -> type[BaseHTTPRequestHandler]:
    about = f"/api/datasets/{dataset}"
    resolve = f"/datasets/{dataset}/resolve/{COMMIT}/"

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = unquote(urlparse(self.path).path)
            if path.startswith(resolve) and (name := path.removeprefix(resolve)) in files:
                self.send_file(files[name])
            elif path in (about, f"{about}/revision/{COMMIT}", f"{about}/revision/v1"):
                self.send_json({"id": dataset, "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]})
            elif path.startswith(f"{about}/tree/{COMMIT}"):
                folder = path.removeprefix(f"{about}/tree/{COMMIT}").strip("/")
                self.send_json([entry(name) for name in files if name.rpartition("/")[0] == folder])
            else:
                missing = {resolve: "EntryNotFound", about: "RevisionNotFound"}
                code = next((code for start, code in missing.items() if path.startswith(start)), "RepoNotFound")
                self.answer(404, b"", {"X-Error-Code": code})

        def send_json(self, value: Any) -> None:
            self.answer(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

        def send_file(self, data: bytes) -> None:
            headers = {"ETag": f'"{hashlib.sha1(data).hexdigest()}"', "Accept-Ranges": "bytes"}
            wanted = self.headers.get("Range")
            if not wanted:
                return self.answer(200, data, headers)
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            part = data[int(first) : int(last or len(data)) + 1]
            headers["Content-Range"] = f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}"
            self.answer(206, part, headers)

        def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {**headers, "X-Repo-Commit": COMMIT, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None: ...

    def entry(name: str) -> dict[str, Any]:
        return {"type": "file", "path": name, "size": len(files[name]), "oid": hashlib.sha1(files[name]).hexdigest()}

    return Handler
