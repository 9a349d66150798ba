"""Which process did something, in a form that outlives it, as numbers of processes are used again; how one is ended."""

import socket
from types import FrameType
from typing import NoReturn

import psutil


class Interrupted(KeyboardInterrupt):
    """A signal asked this process to end.

    A class of its own, as CPython compares the exact class: when a plain `KeyboardInterrupt` comes up in a string that
    runs (`exec`, as in dataclasses and the annotations of pydantic), the interpreter ends by SIGINT whatever exit code
    the command chose, even where the exception was caught.
    """


def interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """Handler of signals that raises `Interrupted` wherever the main thread is."""
    raise Interrupted


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
