"""An independent second check: Math-Verify by itself, from the completion to its verdict, with nothing of this room.

``python -m tasks.shared.verification.second_check`` answers on standard output: a line ``ready``, then for each pair of
texts, a JSON array a line, ``true`` or ``false``.
"""

import json
import logging
import os
import select
import subprocess
import sys
from collections.abc import Iterable, Iterator

from tasks.shared.verification.process import child_environment

_LIMIT_S = 10.0
"""Wall clock for one pair; Math-Verify stops itself after 5 s where it can."""


def second_verdicts(pairs: Iterable[tuple[str, str]]) -> Iterator[bool | None]:
    """Whether Math-Verify takes each completion for right, in order; None where it came to no end.

    It runs in a process of its own, which is killed where it hangs. That is a program and neither a fork, which may
    hang where the caller holds threads, nor of `multiprocessing`, which would run the caller's script again.
    """
    process = None
    try:
        for pair in pairs:
            process = process or _start()
            answer = _ask(process, pair)
            if not answer:
                _end(process)
                process = None
            yield answer == b"true\n" if answer else None
    finally:
        if process:
            _end(process)


def _start() -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "tasks.shared.verification.second_check"]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=child_environment(), bufsize=0
    )
    assert process.stdout is not None
    if process.stdout.readline() != b"ready\n":
        _end(process)
        raise RuntimeError(f"the second check ended with exit status {process.returncode}; does math_verify import?")
    return process


def _ask(process: "subprocess.Popen[bytes]", pair: tuple[str, str]) -> bytes:
    """The line that answers a pair; empty where there is none in time."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(pair).encode() + b"\n")
    except BrokenPipeError:
        return b""
    ready, _, _ = select.select([process.stdout], [], [], _LIMIT_S)
    return process.stdout.readline() if ready else b""


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    # Leaving the context closes the pipes and waits for the end.
    with process:
        pass


def main() -> None:
    """Answer until standard input is closed."""
    from math_verify import parse, verify

    replies = os.fdopen(os.dup(1), "w", buffering=1)
    # What a library prints must not stand among the answers.
    os.dup2(2, 1)
    logging.getLogger("math_verify").setLevel(logging.CRITICAL)
    logging.getLogger("latex2sympy2_extended").setLevel(logging.CRITICAL)
    print("ready", file=replies)
    for line in sys.stdin:
        completion, gold = json.loads(line)
        try:
            taken = bool(verify(parse(f"${gold}$"), parse(completion)))
        except Exception:
            # Whatever it stumbles over, it has not taken the completion for right.
            taken = False
        print(json.dumps(taken), file=replies)


if __name__ == "__main__":
    main()
