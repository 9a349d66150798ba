"""An independent second check: Math-Verify by itself, from the completion to its verdict, with nothing of this room."""

import multiprocessing
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection

_LIMIT_S = 10.0
"""Wall clock for one pair; Math-Verify stops itself after 5 s where it can."""


def second_verdicts(pairs: Iterable[tuple[str, str]]) -> Iterator[bool | None]:
    """Whether Math-Verify takes each completion for right, in order; None where it came to no end.

    It runs in a process of its own, which is killed where it hangs.
    """
    # Not forked: the caller may hold threads, and a fork of them may hang.
    context = multiprocessing.get_context("spawn")
    process, pipe = None, None
    try:
        for pair in pairs:
            if process is None or pipe is None:
                pipe, theirs = context.Pipe()
                process = context.Process(target=_serve, args=(theirs,), daemon=True)
                process.start()
                theirs.close()
                pipe.recv()
            pipe.send(pair)
            try:
                verdict = pipe.recv() if pipe.poll(_LIMIT_S) else None
            except EOFError:
                verdict = None
            if verdict is None:
                process.kill()
                process.join()
                process = None
            yield verdict
    finally:
        if process is not None:
            process.kill()
            process.join()


def _serve(pipe: Connection) -> None:
    import logging

    from math_verify import parse, verify

    logging.getLogger("math_verify").setLevel(logging.CRITICAL)
    logging.getLogger("latex2sympy2_extended").setLevel(logging.CRITICAL)
    pipe.send("ready")
    while True:
        try:
            completion, gold = pipe.recv()
        except EOFError:
            return
        try:
            expected = parse(f"${gold}$")
            pipe.send(bool(verify(expected, parse(completion))))
        except Exception:
            # Whatever it stumbles over, it has not taken the completion for right.
            pipe.send(False)
