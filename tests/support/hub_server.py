"""A hub on this machine: enough of the Hugging Face HTTP API for its own clients to list, find, download and upload."""

import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlparse

from tests.support.paths import ROOT

COMMIT = "a" * 40


@dataclass
class Repository:
    """One repository at its newest commit; a test may change it while it is served."""

    id: str
    files: dict[str, bytes]
    kind: str = "datasets"
    """`datasets` or `models`."""
    commit: str = COMMIT
    private: bool = False
    refuses: tuple[int, str] | None = None
    """Status and error code with which files are refused, and with which all is refused if it is a 401 or a 500."""

    @property
    def about(self) -> dict[str, Any]:
        return {"id": self.id, "sha": self.commit, "siblings": [{"rfilename": name} for name in self.files]}

    def entries(self, folder: str, recursive: bool) -> list[dict[str, Any]]:
        """Files as a listing of a folder names them."""
        names = [name for name in self.files if recursive or name.rpartition("/")[0] == folder]
        return [
            {"type": "file", "path": name, "size": len(self.files[name]), "oid": digest(self.files[name])}
            for name in names
        ]


@dataclass
class Hub:
    """What the server has."""

    repositories: list[Repository]
    collections: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """Kind and id of the items, by the collection's address `owner/name`."""
    asked: list[str] = field(default_factory=list)
    """Paths of all requests so far."""
    blobs: dict[str, bytes] = field(default_factory=dict)
    """Large files that were uploaded, by SHA-256; they belong to a repository once a commit names them."""
    token: str = ""
    """Where there is one, only its holder may write."""

    def repository(self, kind: str, name: str) -> Repository | None:
        return next((item for item in self.repositories if (item.kind, item.id) == (kind, name)), None)

    def collection(self, slug: str) -> dict[str, Any]:
        items = [
            {"_id": str(place), "id": name, "type": kind, "position": place}
            for place, (kind, name) in enumerate(self.collections[slug])
        ]
        about = {"slug": slug, "title": slug, "owner": {}, "items": items, "lastUpdated": "2026-01-01T00:00:00.000Z"}
        return {**about, "position": 0, "private": False, "theme": "blue", "upvotes": 0}


LARGE = (".safetensors", ".parquet")
"""Endings of files that are uploaded by themselves, before the commit that names them."""


def digest(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


@contextmanager
def serve(hub: Hub) -> Iterator[str]:
    """Serve the hub; yields the endpoint."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def ask(endpoint: str, home: Path, code: str, **given: Any) -> Any:
    """What a program prints last, as JSON; `given` is its argument.

    The hub's clients read their endpoint once, when they are imported: hence a process of its own.
    """
    settings = {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    environment = {**os.environ, **settings}
    command = [sys.executable, "-c", code, json.dumps(given)]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        address = urlparse(self.path)
        path, query = unquote(address.path).strip("/"), parse_qs(address.query)
        self.hub.asked.append(path)
        match path.split("/"):
            case ["api", "collections", owner, name] if f"{owner}/{name}" in self.hub.collections:
                self.send_json(self.hub.collection(f"{owner}/{name}"))
            case ["api", "models"]:
                self.send_json([item.about for item in self.listed(query["author"][0])])
            case ["api", kind, owner, name, *rest]:
                self.send_about(self.hub.repository(kind, f"{owner}/{name}"), rest, "recursive" in query)
            case ["datasets", owner, name, "resolve", commit, *rest]:
                self.send_file(self.hub.repository("datasets", f"{owner}/{name}"), commit, "/".join(rest))
            case [owner, name, "resolve", commit, *rest]:
                self.send_file(self.hub.repository("models", f"{owner}/{name}"), commit, "/".join(rest))
            case _:
                self.refuse(404, "RepoNotFound")

    def do_POST(self) -> None:
        path = unquote(urlparse(self.path).path).strip("/")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.hub.asked.append(path)
        if self.hub.token and self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            return self.refuse(403, "Forbidden")
        match path.split("/"):
            case ["api", "repos", "create"]:
                self.create(json.loads(body))
            case ["api", "validate-yaml"]:
                self.send_json({"errors": [], "warnings": []})
            case ["api", _, _, _, "preupload", "main"]:
                files = [
                    {"path": name, "uploadMode": "lfs" if name.endswith(LARGE) else "regular", "shouldIgnore": False}
                    for name in (item["path"] for item in json.loads(body)["files"])
                ]
                self.send_json({"files": files})
            case [*_, "info", "lfs", "objects", "batch"]:
                host = f"http://{self.headers['Host']}"
                objects = [
                    {**item, "actions": {"upload": {"href": f"{host}/upload/{item['oid']}"}}}
                    for item in json.loads(body)["objects"]
                ]
                self.send_json({"transfer": "basic", "objects": objects})
            case ["api", kind, owner, name, "commit", "main"]:
                self.commit(self.hub.repository(kind, f"{owner}/{name}"), body)
            case _:
                self.refuse(404, "RepoNotFound")

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.hub.blobs[hashlib.sha256(data).hexdigest()] = data
        self.send_json({})

    def create(self, asked: dict[str, Any]) -> None:
        kind, name = f"{asked.get('type', 'model')}s", f"{asked['organization']}/{asked['name']}"
        about = {"url": f"http://{self.headers['Host']}/{'' if kind == 'models' else f'{kind}/'}{name}"}
        if self.hub.repository(kind, name) is not None:
            return self.answer(409, json.dumps(about).encode(), {"Content-Type": "application/json"})
        self.hub.repositories.append(Repository(name, {}, kind, private=asked.get("visibility") == "private"))
        self.send_json(about)

    def commit(self, found: Repository | None, body: bytes) -> None:
        if found is None:
            return self.refuse(404, "RepoNotFound")
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                found.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                found.files[value["path"]] = self.hub.blobs[value["oid"]]
        address = f"http://{self.headers['Host']}/{found.id}/commit/{found.commit}"
        self.send_json({"success": True, "commitOid": found.commit, "commitUrl": address})

    def listed(self, author: str) -> list[Repository]:
        models = [item for item in self.hub.repositories if item.kind == "models"]
        # What only some may see is not in the list of others.
        return [item for item in models if item.id.startswith(f"{author}/") and (item.refuses or (0, ""))[0] != 401]

    def send_about(self, found: Repository | None, rest: list[str], recursive: bool) -> None:
        if found is None:
            self.refuse(404, "RepoNotFound")
        elif found.refuses and found.refuses[0] in (401, 500):
            self.refuse(*found.refuses)
        elif rest in ([], ["revision", found.commit], ["revision", "v1"]):
            self.send_json(found.about, found.commit)
        elif rest[:2] == ["tree", found.commit]:
            self.send_json(found.entries("/".join(rest[2:]), recursive), found.commit)
        else:
            self.refuse(404, "RevisionNotFound")

    def send_file(self, found: Repository | None, commit: str, name: str) -> None:
        if found is None or found.refuses:
            return self.refuse(*((found and found.refuses) or (404, "RepoNotFound")))
        if commit != found.commit or name not in found.files:
            return self.refuse(404, "EntryNotFound" if commit == found.commit else "RevisionNotFound")
        data = found.files[name]
        headers = {"ETag": f'"{digest(data)}"', "Accept-Ranges": "bytes", "X-Repo-Commit": commit}
        wanted = self.headers.get("Range")
        if not wanted:
            return self.answer(200, data, headers)
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        part = data[int(first) : int(last or len(data)) + 1]
        headers["Content-Range"] = f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}"
        self.answer(206, part, headers)

    def send_json(self, value: Any, commit: str = "") -> None:
        self.answer(200, json.dumps(value).encode(), {"Content-Type": "application/json", "X-Repo-Commit": commit})

    def refuse(self, status: int, code: str) -> None:
        self.answer(status, b"", {"X-Error-Code": code})

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None: ...
