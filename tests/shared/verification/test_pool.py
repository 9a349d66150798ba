"""The pool gives one verdict for each pair, within a bound, whatever happens to its processes."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tasks.shared.verification.config import VerificationConfig
from tasks.shared.verification.pool import VerifierPool

ROOT = Path(__file__).resolve().parents[3]
INTEGRALS = " + ".join(rf"\int_0^1 \frac{{\sin(x^{{{power}}})}}{{1+e^{{x}}}} dx" for power in range(2, 14))
SLOW, SLOW_GOLD = rf"\boxed{{{INTEGRALS}}}", r"\int_0^1 \cos(x^3) dx"
"""Minutes of work for the algebra system that no screen foresees."""
MATH_VERIFY_65 = r"\boxed{\dfrac{5^{\left(5^{\left(5^{\left(5^5\right)}\right)} - 4\right)} - 5}{16}}"


@pytest.fixture(scope="module")
def pool() -> Iterator[VerifierPool]:
    with VerifierPool(num_workers=2) as running:
        yield running


def wait_until(condition: Callable[[], bool], timeout_s: float = 20.0) -> bool:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def ended(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_verdicts_come_in_order_one_for_each_pair(pool: VerifierPool) -> None:
    pairs = [(f"#### {i}", str(i if i % 3 else i + 1)) for i in range(500)]
    verdicts = pool.verify(iter(pairs))
    assert [v.verdict for v in verdicts] == ["correct" if i % 3 else "wrong" for i in range(500)]
    assert [v.extracted for v in verdicts] == [str(i) for i in range(500)]


def test_nothing_in_nothing_out(pool: VerifierPool) -> None:
    assert pool.verify([]) == []


def test_workers_are_kept_between_calls(pool: VerifierPool) -> None:
    pool.verify([("#### 1", "1")])
    before = pool.worker_pids()
    pool.verify([("#### 1", "1")] * 100)
    assert pool.worker_pids() == before


def test_stream_reads_its_input_lazily(pool: VerifierPool) -> None:
    taken = []

    def pairs() -> Iterator[tuple[str, str]]:
        for number in range(10_000):
            taken.append(number)
            yield f"#### {number}", str(number)

    stream = pool.stream(pairs())
    assert next(stream).verdict == "correct"
    stream.close()
    assert len(taken) < 1_000
    assert pool.verify([("#### 2", "2")])[0].verdict == "correct"


def test_second_call_inside_a_stream_is_refused(pool: VerifierPool) -> None:
    stream = pool.stream([("#### 1", "1")] * 100)
    next(stream)
    with pytest.raises(RuntimeError, match="still reading a stream"):
        pool.verify([("#### 1", "1")])
    stream.close()


def test_pool_closes_while_a_stream_is_being_read() -> None:
    with VerifierPool(num_workers=1) as pool:
        stream = pool.stream([("#### 1", "1")] * 100)
        next(stream)
        pids = pool.worker_pids()
    assert all(ended(pid) for pid in pids)


def test_answer_that_hangs_times_out_alone() -> None:
    pairs = (
        [("#### 1", "1")] * 20 + [(SLOW, SLOW_GOLD)] + [("#### 2", "3")] * 20 + [(SLOW, SLOW_GOLD)] + [("#### 4", "4")]
    )
    with VerifierPool(num_workers=1, timeout_s=0.2) as pool:
        verdicts = pool.verify(pairs)
        warm = psutil.Process(pool.worker_pids()[0]).parent()
        assert warm is not None
        spent = warm.cpu_times().children_user + warm.cpu_times().children_system
    assert [v.verdict for v in verdicts] == ["correct"] * 20 + ["timeout"] + ["wrong"] * 20 + ["timeout"] + ["correct"]
    assert verdicts[20].detail == "no verdict within 0.2 s of CPU time"
    assert spent < 2 * 0.2 + 0.2


def test_limit_is_cpu_time_and_not_the_clock() -> None:
    with VerifierPool(num_workers=1, timeout_s=0.2) as pool:
        pool.verify([("#### 1", "1")])
        grader = psutil.Process(pool.worker_pids()[0])
        grader.suspend()
        waking = threading.Timer(0.6, grader.resume)
        waking.start()
        assert [v.verdict for v in pool.verify([("#### 1", "1"), ("#### 2", "3")])] == ["correct", "wrong"]
        assert pool.worker_pids() == [grader.pid]
        waking.join()


def test_limit_holds_where_the_owner_ignores_the_signal(tmp_path: Path) -> None:
    script = tmp_path / "owner.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import signal
            from tasks.shared.verification.pool import VerifierPool
            signal.signal(signal.SIGPROF, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_BLOCK, {{signal.SIGPROF}})
            with VerifierPool(timeout_s=0.2) as pool:
                print(pool.verify([({SLOW!r}, {SLOW_GOLD!r})])[0].verdict)
            """
        )
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.stdout.strip() == "timeout", done.stderr


def test_a_gold_goes_to_one_grader_whatever_else_there_is_to_do() -> None:
    with VerifierPool(num_workers=3) as pool:
        pool.verify([(f"#### {i}", "1") for i in range(200)])
        assert len(pool.worker_pids()) == 1
        pool.verify([("#### 1", str(i)) for i in range(200)])
        assert len(pool.worker_pids()) == 3


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_adversarial_corpus_within_a_bound(pool: VerifierPool) -> None:
    corpus = [
        r"\boxed{7^{7^{7^7}}}",
        r"\boxed{10000000!}",
        MATH_VERIFY_65,
        r"\boxed{((9!)!)!}",
        "\\boxed{" + "(" * 10_000 + "}",
        "\\boxed{" + "(" * 900 + "1" + ")" * 900 + "}",
        "\\boxed{" + r"\frac{1}{" * 150 + "2" + "}" * 150 + "}",
        "x" * 1_000_000,
        "\\boxed{" + "9" * 1_000_000 + "}",
        "\\boxed{" * 20_000,
        "{@Neillier 1276915 4951077 ник 增高人权 국 {1,1-3-10鼓励);5个_GENERAL2全校 _HEADERS1 Orchestra}",
        r"\boxed{{@Neillier 1276915 ник {1,1-3-10鼓励;5个_GENERAL2} Orchestra}}",
        "\\boxed{1\x002}",
        "\\boxed{\ud800}",
        "#### \x00",
        r"\boxed{x^{y^{z^{w^{v}}}} + \sqrt{\sqrt{\sqrt{x}}}}",
        r"\boxed{123456789^{123456789}}",
        r"\boxed{\prod_{k=1}^{10^9} k}",
        "\\boxed{" + r"\begin{pmatrix}" + r"\\".join("&".join("1" * 22) for _ in range(22)) + r"\end{pmatrix}^{99999}}",
        r"\boxed{(3^{900000})^{900000}}",
        SLOW,
    ]
    start = time.monotonic()
    verdicts = pool.verify([(text, "4951077") for text in [*corpus, "#### 4951077"]])
    assert len(verdicts) == len(corpus) + 1
    assert [v.verdict for v in verdicts].count("correct") == 1
    assert verdicts[-1].verdict == "correct"
    # At most every third answer needs the whole limit, and a fresh process afterwards, on a slow machine.
    assert time.monotonic() - start < 60


def kill_when_busy(pool: VerifierPool, times: int) -> threading.Thread:
    """Kill the grader, and the next ones, as soon as each has worked for a while."""

    def work() -> None:
        known: set[int] = set()
        for _ in range(times):
            assert wait_until(lambda: bool(set(pool.worker_pids()) - known))
            [pid] = set(pool.worker_pids()) - known
            known.add(pid)
            assert wait_until(lambda: psutil.Process(pid).cpu_times().user > 0.2)  # noqa: B023
            os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=work)
    killer.start()
    return killer


def test_answer_whose_grader_was_killed_from_outside_is_tried_once_more() -> None:
    with VerifierPool(num_workers=1, timeout_s=0.6) as pool:
        killer = kill_when_busy(pool, times=1)
        verdicts = pool.verify([("#### 1", "1")] * 10 + [(SLOW, SLOW_GOLD)] + [("#### 2", "2")] * 30)
        killer.join()
    assert [v.verdict for v in verdicts] == ["correct"] * 10 + ["timeout"] + ["correct"] * 30
    assert verdicts[10].detail == "no verdict within 0.6 s of CPU time"


def test_no_verdict_is_made_up_where_graders_are_killed_from_outside_again_and_again() -> None:
    with VerifierPool(num_workers=1, timeout_s=60.0) as pool:
        killer = kill_when_busy(pool, times=2)
        with pytest.raises(RuntimeError, match="killed from outside twice over one answer"):
            pool.verify([("#### 1", "1"), (SLOW, SLOW_GOLD)])
        killer.join()
        assert pool.verify([("#### 1", "1")])[0].verdict == "correct"


def test_pool_survives_the_loss_of_its_warm_process() -> None:
    with VerifierPool(num_workers=2) as pool:
        stream = pool.stream([(f"#### {i}", str(i)) for i in range(3_000)])
        first = next(stream)
        warm = psutil.Process(pool.worker_pids()[0]).parent()
        assert warm is not None
        warm.kill()
        assert {v.verdict for v in [first, *stream]} == {"correct"}


def test_forked_process_cannot_use_the_pool_of_its_parent() -> None:
    with VerifierPool(num_workers=1) as pool:
        pool.verify([("#### 1", "1")])
        pid = os.fork()
        if pid == 0:
            try:
                pool.verify([("#### 1", "1")])
            except RuntimeError:
                pool.close()
                os._exit(7)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        assert pool.verify([("#### 1", "1")])[0].verdict == "correct"


def test_warm_process_has_a_single_thread_when_it_forks() -> None:
    with VerifierPool(num_workers=1) as pool:
        pool.verify([("#### 1", "1")])
        warm = psutil.Process(pool.worker_pids()[0]).parent()
        assert warm is not None
        assert warm.pid != os.getpid()
        assert warm.num_threads() == 1


def test_memory_cap_costs_one_answer() -> None:
    with VerifierPool(num_workers=1, timeout_s=60.0, memory_mb=300) as pool:
        verdicts = pool.verify([("#### 1", "1"), ("x" * 100_000_000, "5"), ("#### 7", "7")])
        [pid] = pool.worker_pids()
        assert psutil.Process(pid).rlimit(psutil.RLIMIT_AS) == (300 * 2**20, 300 * 2**20)
    assert [v.verdict for v in verdicts] == ["correct", "timeout", "correct"]
    assert verdicts[1].detail == "no verdict within 300 MiB of memory"


def test_cap_that_is_too_small_is_reported_and_not_retried_for_ever() -> None:
    with (
        VerifierPool(num_workers=1, memory_mb=40) as pool,
        pytest.raises(RuntimeError, match="failed to start 3 times"),
    ):
        pool.verify([("#### 1", "1")])


def test_workers_outlive_the_thread_that_first_used_the_pool() -> None:
    with VerifierPool(num_workers=1) as pool:
        results: list[str] = []

        def work() -> None:
            results.extend(v.verdict for v in pool.verify([("#### 1", "1"), ("#### 1", "2")]))

        for _ in range(2):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        first = pool.worker_pids()
        time.sleep(0.2)
        assert pool.verify([("#### 3", "3")])[0].verdict == "correct"
        assert pool.worker_pids() == first
    assert results == ["correct", "wrong"] * 2


def test_threads_share_one_pool(pool: VerifierPool) -> None:
    outcomes: dict[int, list[str]] = {}

    def work(seed: int) -> None:
        pairs = [(f"#### {i}", str(i + (i + seed) % 2)) for i in range(200)]
        outcomes[seed] = [v.verdict for v in pool.verify(pairs)]

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in range(4):
        assert outcomes[seed] == ["wrong" if (i + seed) % 2 else "correct" for i in range(200)]


def test_close_leaves_no_child_and_refuses_more_work() -> None:
    pool = VerifierPool(num_workers=2)
    pool.verify([("#### 1", str(i)) for i in range(10)])
    pids = pool.worker_pids()
    assert len(pids) == 2
    pool.close()
    pool.close()
    assert not any(psutil.pid_exists(pid) for pid in pids)
    with pytest.raises(RuntimeError, match="closed"):
        pool.verify([("#### 1", "1")])


@pytest.mark.parametrize("ending", ["kill", "return"])
def test_no_child_outlives_its_parent(ending: str, tmp_path: Path) -> None:
    script = tmp_path / "owner.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import sys, threading
            from tasks.shared.verification.pool import VerifierPool
            pool = VerifierPool(num_workers=2, timeout_s=600)
            pool.verify([("#### 1", str(i)) for i in range(10)])
            print(*pool.worker_pids(), flush=True)
            if {ending!r} == "kill":
                pool.verify([({SLOW!r}, {SLOW_GOLD!r} + " + " + str(i)) for i in range(10)])
            """
        )
    )
    owner = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert owner.stdout is not None
    pids = [int(word) for word in owner.stdout.readline().split()]
    assert len(pids) == 2
    if ending == "kill":
        busy = lambda: all(psutil.Process(pid).cpu_percent(0.1) > 10 for pid in pids)  # noqa: E731
        assert wait_until(busy)
        owner.kill()
    owner.wait(timeout=30)
    assert wait_until(lambda: all(ended(pid) for pid in pids), 10)


def test_timeout_given_to_the_pool_replaces_that_of_the_config() -> None:
    config = VerificationConfig(timeout_s=9.0, extraction=("hash",))
    pool = VerifierPool(1, 2.0, config=config)
    assert pool.config == VerificationConfig(timeout_s=2.0, extraction=("hash",))
    with pytest.raises(ValueError, match="num_workers is 0"):
        VerifierPool(0)


def test_child_imports_neither_torch_nor_prefect() -> None:
    code = (
        "import sys, tasks.shared.verification.child, tasks.shared.verification.grading; "
        "print({'torch', 'vllm', 'trl', 'transformers', 'prefect', 'mlflow'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "set()"
