"""Which process did something, in a form that outlives it: numbers of processes are used again."""

import socket

import psutil


def own_identity() -> str:
    """Host, number and start of this process: `gpu-1:4711@1700000000.25`."""
    return _identity(psutil.Process())


def has_ended(identity: str) -> bool:
    """True where the process was one of this host and is no more; of another host's nothing is known."""
    host, _, rest = identity.rpartition(":")
    number = rest.partition("@")[0]
    if host != socket.gethostname() or not number.isdecimal():
        return False
    try:
        return _identity(psutil.Process(int(number))) != identity
    except psutil.NoSuchProcess:
        return True


def _identity(process: psutil.Process) -> str:
    return f"{socket.gethostname()}:{process.pid}@{process.create_time():.2f}"
