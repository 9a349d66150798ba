"""The grader process: reads pairs, writes verdicts, and may be killed at any moment.

``python -m tasks.shared.verification.child CONFIG_JSON MEMORY_MB PARENT_PID``. One JSON object a line on standard
input, ``{"id": int, "completion": str, "gold": str}``; one JSON array a line on the protocol pipe (the
standard output this process was started with), ``[id, verdict, extracted, detail, seconds]``, in the order of the
requests. The first line is ``"ready"``. The process imports neither torch nor prefect: it starts in about a
second and its memory cap can be small.
"""

import json
import os
import resource
import signal
import sys
from typing import BinaryIO

from tasks.spine.stage.worker import die_with_parent

READY = "ready"


def main() -> None:
    """Serve requests until standard input ends."""
    config_json, memory_mb, parent_pid = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    protocol = _private_output()
    # Where the kernel is not Linux, the end of standard input ends the process, once it is not busy.
    die_with_parent(signal.SIGKILL)
    if os.getppid() != parent_pid:
        raise SystemExit("the parent ended before the grader process had started")
    # A terminal's Ctrl-C reaches the whole process group; the parent decides when its graders end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    limit = memory_mb * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    from tasks.shared.verification.config import VerificationConfig
    from tasks.shared.verification.grading import compare

    config = VerificationConfig.model_validate_json(config_json)
    # The first use of the grammar costs a tenth of a second; no answer should be charged for it.
    compare(r"\frac{x}{2}", r"0.5 x", config)
    _write(protocol, READY)
    for line in sys.stdin.buffer:
        request = json.loads(line)
        _write(protocol, [request["id"], *_grade(request["completion"], request["gold"], config)])


def _grade(completion: str, gold: str, config: "VerificationConfig") -> tuple[str, str | None, str, float]:  # noqa: F821
    from math_verify.errors import TimeoutException

    from tasks.shared.verification.grading import grade

    try:
        result = grade(completion, gold, config)
    except TimeoutException:
        return "timeout", None, "Math-Verify's own time limit", 0.0
    except MemoryError:
        return "error", None, "the grader process ran out of memory", 0.0
    except Exception as error:
        return "error", None, f"{type(error).__name__}: {error}"[:500], 0.0
    return result.verdict, result.extracted, result.detail, result.seconds


def _private_output() -> BinaryIO:
    """Keep the protocol pipe for this module alone: what a library prints goes to standard error instead."""
    protocol = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return protocol


def _write(protocol: BinaryIO, message: object) -> None:
    data = memoryview(json.dumps(message).encode() + b"\n")
    while data:
        data = data[protocol.write(data) :]


if __name__ == "__main__":
    main()
