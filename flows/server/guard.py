"""The servers of one person's pages: each answers programs and its own pages on this machine, and no other website.

A page from elsewhere that is open in the same browser could else start runs: by a plain form, or under a name that it
has made lead to this machine.
"""

from typing import Any
from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from flows.server.reaching import LOCAL
from tasks.spine.stage.imports import UNUSED_BY_PREFECT, lean_imports


class OwnOriginOnly:
    """Refuses requests under another host name than this machine's own, or from another origin than the server's."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan" or _is_own(scope):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            await PlainTextResponse("This server answers its own host and origin only.\n", 403)(scope, receive, send)


def _is_own(scope: Scope) -> bool:
    headers = {name: value.decode("latin-1") for name, value in scope["headers"] if name in (b"host", b"origin")}
    host = _place(f"//{headers.get(b'host', '')}")
    origin = headers.get(b"origin")
    return host[0] in LOCAL and (origin is None or (_place(origin)[0] in LOCAL and _place(origin)[1] == host[1]))


def _place(address: str) -> tuple[str, int]:
    """Host and port; an empty host for what is no address, such as the origin `null`."""
    try:
        parts = urlsplit(address)
        return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return "", 0


def prefect_server() -> Any:
    """Prefect's server behind the guard, for uvicorn."""
    with lean_imports(*UNUSED_BY_PREFECT):
        from prefect.server.api.server import create_app

        return OwnOriginOnly(create_app())


def mlflow_server() -> Any:
    """MLflow's server behind the guard: `mlflow server --app-name midtrain`, by an entry point of this package.

    MLflow's own check of origins lets every other server of this machine through.
    """
    with lean_imports():
        from mlflow.server.fastapi_app import app

    return OwnOriginOnly(app)
