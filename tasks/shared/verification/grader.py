"""A grader: one forked process that answers requests on its socket until it ends or is ended.

One JSON array a line in each direction: some ``[id, completion, gold]``, and for each of them, in their order,
``[id, verdict, extracted, detail, seconds]``. The kernel ends the process when an answer has used up its CPU time
(``SIGPROF``): no code of a computer algebra system can put that off, and how busy the machine is makes no difference.
Verdicts that were not sent by then are lost; which answer was at hand stands in memory that the owner shares.
"""

import json
import mmap
import os
import signal
import socket

from tasks.shared.verification.config import VerificationConfig
from tasks.shared.verification.grading import compare, grade
from tasks.shared.verification.protocol import AT_HAND, NOTHING, OUT_OF_MEMORY

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

GATHERED_S = 0.005
"""CPU time after which verdicts are sent, at the latest: sending costs as much as most of them take, and what has not
been sent is graded again where the next answer ends the process (ours).
"""


def warm_up(config: VerificationConfig) -> None:
    """Grade some pairs of common forms, so that no grader starts cold and no answer is charged for it."""
    for answer, gold in _WARMING:
        compare(answer, gold, config)


def serve(requests: socket.socket, at_hand: mmap.mmap, config: VerificationConfig) -> None:
    """Answer requests until the other end is closed. Each has `config.timeout_s` of CPU time for itself, and its number
    stands in `at_hand` meanwhile.
    """
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGPROF})
    try:
        with requests.makefile("rb") as lines:
            for line in lines:
                AT_HAND.pack_into(at_hand, 0, NOTHING)
                signal.setitimer(signal.ITIMER_PROF, config.timeout_s)
                replies, spent_s = [], 0.0
                for number, completion, gold in json.loads(line):
                    AT_HAND.pack_into(at_hand, 0, number)
                    signal.setitimer(signal.ITIMER_PROF, config.timeout_s)
                    reply = (number, *_grade(completion, gold, config))
                    replies.append(reply)
                    spent_s += reply[-1]
                    if spent_s > GATHERED_S:
                        _send(replies, requests)
                        replies, spent_s = [], 0.0
                _send(replies, requests)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)


def _send(replies: list[tuple[int, str, str | None, str, float]], requests: socket.socket) -> None:
    if replies:
        requests.sendall(json.dumps(replies).encode() + b"\n")


def _grade(completion: str, gold: str, config: VerificationConfig) -> tuple[str, str | None, str, float]:
    try:
        result = grade(completion, gold, config)
    except MemoryError:
        raise
    except Exception as error:
        return "error", None, f"{type(error).__name__}: {error}"[:500], 0.0
    return result.verdict, result.extracted, result.detail, result.seconds
