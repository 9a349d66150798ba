"""Rows graded per CPU-second against a serial loop of Math-Verify, and what hostile answers cost their neighbours.

CPU time counts every process that takes part: the owner, the warm process and all graders, those that ended included.
Loading the libraries is left out on both sides. Both sides grade the same rows in one run; where their verdicts differ,
the rows are counted by class and shown.
"""

import time
from collections import Counter

import psutil
from math_verify import parse, verify

from tasks.shared.verification.pool import VerifierPool
from tests.bench.verifier_answers import Row, expressions, math_answers, with_hostile, word_problems

SETS: tuple[tuple[str, list[Row], float], ...] = (
    ("word problems", word_problems(10_000, samples=8, seed=1), 10.0),
    ("MATH answers", math_answers(4_000, samples=8, seed=2), 8.0),
    ("1,200 LaTeX golds, as they are, rewritten, perturbed", expressions(1_200, seed=3), 5.0),
)
HOSTILE_SHARE, MOST_TIMES_SLOWER = 0.01, 1.2
SHOWN = 5


def main() -> None:
    """Print a line for each set, then one for hostile rows among all of them."""
    for name, rows, target in SETS:
        serial_s, serial = serial_loop(rows)
        pool_s, pooled = graded(rows)
        print(
            f"{name}: {len(rows) / pool_s:,.0f} rows per CPU-second against {len(rows) / serial_s:,.0f} of a serial "
            f"Math-Verify: {serial_s / pool_s:.1f}x (target {target:g}x)"
        )
        show_differences(rows, serial, pooled)
    rows = [row for _, rows, _ in SETS for row in rows]
    plain_s, _ = graded(rows)
    hostile_s, verdicts = graded(with_hostile(rows, HOSTILE_SHARE, seed=4))
    print(
        f"{HOSTILE_SHARE:.0%} hostile rows among all of these: {hostile_s / plain_s:.2f}x the CPU time "
        f"(target at most {MOST_TIMES_SLOWER}x), {Counter(verdicts)['timeout']} timeouts"
    )


def serial_loop(rows: list[Row]) -> tuple[float, list[bool]]:
    """CPU seconds and verdicts of the loop that Math-Verify's own page shows."""
    verify(parse(r"\boxed{\frac{x}{2}}"), parse(r"\boxed{0.5x}"))
    start = time.process_time()
    verdicts = [verify(parse(rf"\boxed{{{gold}}}"), parse(completion)) for completion, gold in rows]
    return time.process_time() - start, verdicts


def graded(rows: list[Row]) -> tuple[float, list[str]]:
    """CPU seconds and verdicts of a fresh pool of two graders that has loaded everything."""
    with VerifierPool(num_workers=2) as pool:
        pool.verify([("#### 1", str(gold)) for gold in range(8)])
        start = cpu_seconds()
        verdicts = [verdict.verdict for verdict in pool.verify(rows)]
        return cpu_seconds() - start, verdicts


def cpu_seconds() -> float:
    """CPU time so far of this process and of all below it, those that have ended under the warm process included."""
    spent = time.process_time()
    for process in psutil.Process().children(recursive=True):
        times = process.cpu_times()
        spent += times.user + times.system + times.children_user + times.children_system
    return spent


def show_differences(rows: list[Row], serial: list[bool], pooled: list[str]) -> None:
    """Rows on which the two sides do not agree, by class."""
    different = [
        (pooled_name, row)
        for row, theirs, pooled_name in zip(rows, serial, pooled, strict=True)
        if theirs != (pooled_name == "correct")
    ]
    for name, count in Counter(name for name, _ in different).items():
        theirs = "wrong" if name == "correct" else "correct"
        print(f"  {count} of {len(rows)} are {name} here and {theirs} there, such as")
        for completion, gold in [row for verdict, row in different if verdict == name][:SHOWN]:
            print(f"    {completion[-60:]!r} for {gold!r}")


if __name__ == "__main__":
    main()
