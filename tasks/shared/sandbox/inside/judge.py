"""The judge: it runs the tests, in a process of its own, on functions that another process answers for.

Its word is the only one that counts, and the program under test reaches neither it nor the file it writes to.
"""

import builtins
import contextlib
import io
import json
import os
import socket
import sys
from collections.abc import Iterator
from typing import Any

from tasks.shared.sandbox.inside.values import decode, encode

_MOST_BYTES = 1 << 24
"""Longest answer that is read."""


class Lost(BaseException):
    """The program under test has ended, or does not keep to the form."""


class Program:
    """The program under test as the judge knows it: a socket."""

    def __init__(self, connection: int) -> None:
        self._socket = socket.socket(fileno=connection)
        self._lines = self._socket.makefile("rb")

    def receive(self) -> dict[str, Any]:
        """Its next answer. Raises `Lost`."""
        try:
            line = self._lines.readline(_MOST_BYTES)
            message = json.loads(line) if line.endswith(b"\n") else None
        except (OSError, ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            raise Lost
        return message

    def ask(self, do: str, *arguments: Any, **named: Any) -> Any:
        """The result of an operation there. Raises what it raised there, and `Lost`."""
        order = {
            "do": do,
            "arguments": [encode(item, _number) for item in arguments],
            "named": {name: encode(item, _number) for name, item in named.items()},
        }
        try:
            self._socket.sendall(json.dumps(order).encode() + b"\n")
        except OSError as error:
            raise Lost from error
        answer = self.receive()
        if "value" not in answer:
            kind = getattr(builtins, str(answer.get("raised")), None)
            known = isinstance(kind, type) and issubclass(kind, Exception)
            raise (kind if known else RuntimeError)(str(answer.get("message")))
        return decode(answer["value"], lambda number: Remote(self, int(number)))


class Remote:
    """An object of the program under test. It equals nothing but itself."""

    def __init__(self, program: Program, number: int) -> None:
        self.__dict__.update(_program=program, _number=number)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._program.ask("call", self, *arguments, **named)

    def __getattr__(self, name: str) -> Any:
        return self._program.ask("get", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._program.ask("set", self, name, value)

    def __getitem__(self, key: Any) -> Any:
        return self._program.ask("item", self, key)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._program.ask("list", self))

    def __len__(self) -> int:
        return int(self._program.ask("len", self))

    def __str__(self) -> str:
        return str(self._program.ask("text", self))


def _number(value: Any) -> int:
    if not isinstance(value, Remote):
        raise TypeError(f"a test hands over a {type(value).__name__}, which is no plain data")
    return int(value._number)


def main(connection: int) -> None:
    """Read the tests from the standard input and write one report, as JSON, to the standard output."""
    sys.set_int_max_str_digits(0)
    report = os.dup(1)
    tests = json.loads(sys.stdin.read())
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        verdict, detail = _judge(tests, Program(connection))
    os.write(report, json.dumps([verdict, detail[:500]]).encode())


def _judge(tests: dict[str, Any], program: Program) -> tuple[str, str]:
    try:
        prelude, code = (compile(tests[part], f"{part}.py", "exec") for part in ("prelude", "tests"))
    except SyntaxError as error:
        return "error", f"tests: they are no Python: {error}"
    try:
        first = program.receive()
        if "unparsed" in first:
            return "unparsed", f"syntax: {first['unparsed']}"
        if "raised" in first:
            return "wrong", f"code: {first.get('message')}"
        namespace: dict[str, Any] = {"__name__": "tests"}
        exec(prelude, namespace)
        for name in tests["entry_points"]:
            if name not in first["entry_points"]:
                return "wrong", f"code: it defines no {name}"
            namespace[name] = Remote(program, int(first["entry_points"][name]))
        exec(code, namespace)
    except Lost:
        return "lost", "code: it ended before the tests did"
    except BaseException as error:
        return "wrong", f"tests: {type(error).__name__}: {error}".strip(": ")
    return "correct", "tests: all passed"
