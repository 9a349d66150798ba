"""The program under test: it runs code that a model wrote, and then answers calls of its functions.

It never sees a test, an expected value or the judge's process: it can only answer, and what it answers is data. So
nothing that the code does here, to this module's own functions too, makes a test pass that its answers do not.
"""

import ast
import json
import operator
import os
import socket
import sys
from collections.abc import Callable
from itertools import islice
from typing import Any

from tasks.shared.sandbox.inside.values import decode, encode

_MOST_MEMBERS = 100_000
_OPERATIONS: dict[str, Callable[..., Any]] = {
    "call": lambda function, *arguments, **named: function(*arguments, **named),
    "get": getattr,
    "set": setattr,
    "item": operator.getitem,
    "list": lambda members: list(islice(members, _MOST_MEMBERS)),
    "text": str,
    "len": len,
}


def main(connection: int) -> None:
    """Read prelude and code from the standard input, and serve calls over the socket of that number."""
    sys.set_int_max_str_digits(0)
    for stream in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    source = json.loads(sys.stdin.read())
    judge = socket.socket(fileno=connection)
    objects: list[Any] = []

    def refer(value: Any) -> int:
        objects.append(value)
        return len(objects) - 1

    def reply(message: dict[str, Any]) -> None:
        judge.sendall(json.dumps(message).encode() + b"\n")

    try:
        namespace = _run(source["prelude"], source["code"])
    except SyntaxError as error:
        return reply({"unparsed": _said(error)})
    except BaseException as error:
        return reply({"raised": type(error).__name__, "message": _said(error)})
    found = [name for name in source["entry_points"] if name in namespace]
    reply({"entry_points": {name: refer(namespace[name]) for name in found}})
    for line in judge.makefile("rb"):
        try:
            order = json.loads(line)
            arguments = [decode(item, objects.__getitem__) for item in order["arguments"]]
            named = {name: decode(item, objects.__getitem__) for name, item in order.get("named", {}).items()}
            answer = {"value": encode(_OPERATIONS[order["do"]](*arguments, **named), refer)}
        except BaseException as error:
            answer = {"raised": type(error).__name__, "message": _said(error)}
        reply(answer)
    os._exit(0)


def _run(prelude: str, code: str) -> dict[str, Any]:
    """Names that the code defines, after what its signature needs; code that only goes on from the prelude is that."""
    try:
        ast.parse(code)
    except SyntaxError:
        ast.parse(prelude + code)
        prelude, code = "", prelude + code
    namespace: dict[str, Any] = {"__name__": "solution", "__builtins__": __builtins__}
    for name, text in (("prelude.py", prelude), ("solution.py", code)):
        exec(compile(text, name, "exec"), namespace)
    return namespace


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error)[:200]}"
