"""Which process did something, in a form that outlives it: numbers of processes are used again."""

import socket

import psutil


def own_identity() -> str:
    """Host, number and start of this process: `gpu-1:4711@1700000000.25`."""
    process = psutil.Process()
    return f"{socket.gethostname()}:{process.pid}@{process.create_time():.2f}"


def has_ended(identity: str) -> bool:
    """True where the process was one of this host and is no more; of another host's nothing is known."""
    host, _, rest = identity.rpartition(":")
    number, _, started = rest.partition("@")
    try:
        return is_gone(host, int(number), float(started))
    except ValueError:
        return False


def is_gone(host: str, number: int, started: float) -> bool:
    """`has_ended` of a process by its parts; `started` is in seconds of the epoch, good to a second."""
    if host != socket.gethostname():
        return False
    try:
        return abs(psutil.Process(number).create_time() - started) > 1
    except psutil.NoSuchProcess:
        return True
