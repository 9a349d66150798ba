"""Which process did something, in a form that outlives it, as numbers of processes are used again; how one is ended."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import psutil


class Interrupted(KeyboardInterrupt):
    """A signal asked this process to end.

    A class of its own, as CPython compares the exact class: when a plain `KeyboardInterrupt` comes up in a string that
    runs (`exec`, as in dataclasses and the annotations of pydantic), the interpreter ends by SIGINT whatever exit code
    the command chose, even where the exception was caught.
    """


@contextmanager
def interrupts() -> Iterator[list[int]]:
    """Have Ctrl-C and SIGTERM raise `Interrupted` wherever the main thread is, and note them in the list that is given.

    Who goes on asks the list: libraries swallow an exception that comes up behind their bare `except`, and Python one
    that comes up in a destructor.
    """
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)
        raise Interrupted

    former = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def own_host() -> str:
    """Name of this machine, and its space of process numbers: containers of one name may have one each."""
    try:
        return f"{socket.gethostname()}/{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return socket.gethostname()


def own_identity() -> str:
    """Host, number and start of this process: `gpu-1/4026531836:4711@1700000000.25`."""
    process = psutil.Process()
    return f"{own_host()}:{process.pid}@{process.create_time():.2f}"


def has_ended(identity: str) -> bool:
    """True where the process was one of this host and is no more; of another host's nothing is known."""
    host, _, rest = identity.rpartition(":")
    number, _, started = rest.partition("@")
    try:
        return is_gone(host, int(number), float(started))
    except ValueError:
        return False


def is_gone(host: str, number: int, started: float) -> bool:
    """`has_ended` of a process by its parts; `started` is in seconds of the epoch, good to a second.

    Older versions wrote the machine's name alone.
    """
    if host not in (own_host(), socket.gethostname()):
        return False
    try:
        return abs(psutil.Process(number).create_time() - started) > 1
    except psutil.NoSuchProcess:
        return True
