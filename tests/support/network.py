"""Ports of this machine, and servers that take a moment to answer."""

import os
import random
import socket
import time
import urllib.request
from contextlib import suppress

PORTS = range(15_000, 30_000)
"""Below those that Linux gives to connections, one of which could have the port before its server does."""


def free_port() -> int:
    """A port that nobody listens on, and that no other process of these tests is given."""
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    chance = random.SystemRandom()
    while True:
        port = chance.choice(PORTS[process % processes :: processes])
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def wait_for(address: str, timeout_s: float = 400) -> None:
    """Return when `address` answers."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(f"no answer from {address} within {timeout_s:.0f} s")
