"""The way to a Prefect server: past proxies to one on this machine, with a word to the user until it answers."""

import http.client
import importlib.util
import logging
import os
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast
from urllib.parse import urlsplit, urlunsplit

from tasks.spine.stage.prefect_retry import BUSY
from tasks.text import without_passwords

LOCAL = ("127.0.0.1", "localhost", "::1")
EVERY_ADDRESS = "0.0.0.0"
"""Where servers say that they listen; asked there, this machine answers."""
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
SAY_AFTER_S = 2.0
SAY_EVERY_S = 10.0
PATIENCE_S = 120.0
PROBE_S = 2.0

log = logging.getLogger(__name__)


@dataclass
class StartingServer:
    """A temporary server that may not answer yet."""

    process: subprocess.Popen[bytes]
    log: Path
    turn: IO[str]
    """Held open until the server answers: two that make the tables of one new database at once end each other."""


def go_around_proxies() -> None:
    """Set the environment so that no library asks a proxy for a server on this machine, in child processes neither.

    A SOCKS proxy is left out where the package that would speak to it is not installed: the HTTP client that Prefect
    uses stops at the sight of one, whatever it is to reach.
    """
    both = ("NO_PROXY", "no_proxy")
    excepted = [name.strip() for key in both for name in os.environ.get(key, "").split(",") if name.strip()]
    for key in both:
        os.environ[key] = ",".join(dict.fromkeys([*excepted, *LOCAL, EVERY_ADDRESS, socket.gethostname()]))
    for key in (name for upper in PROXIES for name in (upper, upper.lower())):
        if os.environ.get(key, "").startswith("socks") and importlib.util.find_spec("socksio") is None:
            log.warning("%s is not used: that proxy speaks SOCKS, and the package socksio is not installed", key)
            del os.environ[key]


def wait_for_server(address: str, starting: StartingServer | None, say: Callable[[str], None]) -> None:
    """Return when the Prefect server at `address` answers.

    Args:
        starting: the process of a server that this command started, if it did.
        say: called with a line after two seconds without an answer, and again every ten.

    Raises:
        ValueError: that is no address or a web page's, a temporary server ended, or there was no answer in time.
    """
    shown = without_passwords(address)
    if urlsplit(address).scheme not in ("http", "https") or not urlsplit(address).hostname:
        raise ValueError(f"PREFECT_API_URL={shown!r} is no address; write it as http://HOST:PORT/api")
    began = said = time.monotonic()
    while (trouble := trouble_with(address)) is not None:
        waited = time.monotonic() - began
        if starting is not None and starting.process.poll() is not None:
            raise ValueError(f"the Prefect server at {address} ended at once; its log: {starting.log}")
        if waited > PATIENCE_S:
            remedy = f"see {starting.log}" if starting else "start it, or unset PREFECT_API_URL to do without"
            raise ValueError(f"no Prefect server at {shown} within {PATIENCE_S:.0f} s ({trouble}); {remedy}")
        if waited >= SAY_AFTER_S and starting is None and time.monotonic() - said >= SAY_AFTER_S:
            say(f"No answer from the Prefect server at {shown} (PREFECT_API_URL) for {waited:.0f} s: {trouble}")
            said = time.monotonic() + SAY_EVERY_S - SAY_AFTER_S
        time.sleep(0.1)
    if starting is not None:
        starting.turn.close()
    else:
        check_api(address)


def trouble_with(address: str) -> str | None:
    """Why the server cannot be asked yet; None where it answers, be it that it wants a key."""
    try:
        with _health(address):
            return None
    except urllib.error.HTTPError as error:
        return f"HTTP {error.code}" if error.code in BUSY else None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        # A certificate that Prefect's own settings may accept.
        return None if isinstance(reason, ssl.SSLError) else str(reason)


def check_api(address: str) -> None:
    """Refuse the address of Prefect's pages in place of its API's: they answer whatever they are asked for.

    Raises:
        ValueError: there is a web page.
    """
    with suppress(OSError, http.client.HTTPException), _health(address) as response:
        if response.headers.get_content_type() == "text/html":
            raise ValueError(
                f"PREFECT_API_URL={without_passwords(address)!r} answers with a web page and not as Prefect's API; "
                "write it as http://HOST:PORT/api"
            )


def _health(address: str) -> http.client.HTTPResponse:
    parts = urlsplit(address)
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return cast(http.client.HTTPResponse, urllib.request.urlopen(f"{bare}/health", timeout=PROBE_S))
