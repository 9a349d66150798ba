"""A grader: one forked process that answers requests on its socket until it ends or is ended.

One JSON array a line in each direction: some ``[id, completion, gold]``, and for each of them, in their order, one
``[id, verdict, extracted, detail, seconds]``. The kernel ends the process when an answer has used up its CPU time
(``SIGPROF``): no code of a computer algebra system can put that off, and how busy the machine is makes no difference.
"""

import json
import os
import signal
import socket

from tasks.shared.verification.config import VerificationConfig
from tasks.shared.verification.grading import compare, grade
from tasks.shared.verification.protocol import OUT_OF_MEMORY

_WARMING = (
    (r"\frac{x}{2}", r"0.5 x"),
    (r"\sin^2 \theta + \cos^2 \theta", r"1"),
    (r"\frac{x^2-1}{x-1}", r"x + 1"),
    (r"(-\infty, 2] \cup [5, 7)", r"(-\infty, 2] \cup [5, 6)"),
    (r"\begin{pmatrix} 1 & 2 \\ 3 & x \end{pmatrix}", r"\begin{pmatrix} 1 & 2 \\ 3 & \frac{2x}{2} \end{pmatrix}"),
    (r"y = 2x + 3", r"y = 2(x + 1) + 1"),
    (r"2\frac{1}{2} x - 3 \text{ cm}", r"\frac{5x}{2} - 3"),
    (r"\int_0^1 x^2 \,dx", r"\int_0^1 \frac{\sin x}{x} dx"),
)
"""Pairs whose grading loads and learns what is loaded and learned only once, by the algebra system and its grammar."""


def warm_up(config: VerificationConfig) -> None:
    """Grade some pairs of common forms, so that no grader starts cold and no answer is charged for it."""
    for answer, gold in _WARMING:
        compare(answer, gold, config)


def serve(requests: socket.socket, config: VerificationConfig) -> None:
    """Answer requests until the other end is closed. Each has `config.timeout_s` of CPU time for itself."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGPROF})
    try:
        with requests.makefile("rb") as lines:
            for line in lines:
                signal.setitimer(signal.ITIMER_PROF, config.timeout_s)
                for number, completion, gold in json.loads(line):
                    signal.setitimer(signal.ITIMER_PROF, config.timeout_s)
                    requests.sendall(json.dumps([number, *_grade(completion, gold, config)]).encode() + b"\n")
    except MemoryError:
        os._exit(OUT_OF_MEMORY)


def _grade(completion: str, gold: str, config: VerificationConfig) -> tuple[str, str | None, str, float]:
    try:
        result = grade(completion, gold, config)
    except MemoryError:
        raise
    except Exception as error:
        return "error", None, f"{type(error).__name__}: {error}"[:500], 0.0
    return result.verdict, result.extracted, result.detail, result.seconds
