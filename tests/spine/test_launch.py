"""Worker processes: one whole result or a named failure, and never a process left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tasks.errors import Permanent
from tasks.spine.stage import launch
from tasks.spine.stage.launch import WorkerFailed, WorkerTimeout, run_worker
from tasks.spine.stage.worker import MOST_WARNINGS
from tests.support.paths import ROOT
from tests.support.toy_worker import ToyJob

MODULE = "tests.support.toy_worker"


def toy(work_dir: Path, timeout_s: float = 120, **job: Any) -> dict[str, Any]:
    return run_worker(MODULE, ToyJob(**job), work_dir, timeout_s=timeout_s)


def alive(pids: list[int]) -> list[int]:
    """Those that still run; a zombie that waits to be reaped by init does not."""
    found = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    return [process.pid for process in found if process.status() != psutil.STATUS_ZOMBIE]


def wait_for(path: Path) -> list[int]:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.05)
    return [int(pid) for pid in path.read_text().split()]


def wait_gone(pids: list[int], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while alive(pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert alive(pids) == []


def test_returns_the_result_and_passes_every_line_on(tmp_path: Path) -> None:
    progress: list[dict[str, Any]] = []
    metrics: list[dict[str, Any]] = []
    result = run_worker(
        MODULE, ToyJob(steps=5), tmp_path, timeout_s=120, on_progress=progress.append, on_metrics=metrics.append
    )
    assert result == {"steps": 5}
    assert [line["done"] for line in progress] == [1, 2, 3, 4, 5]
    assert progress[-1] | {"done": 0} == {"done": 0, "total": 5, "unit": "steps", "values": {"tokens_per_s": 50.0}}
    assert [(line["step"], line["values"]["loss"]) for line in metrics] == [(n, 1.0 / n) for n in range(1, 6)]


def test_what_a_worker_warns_of_is_said_where_its_user_looks(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    toy(tmp_path, warns=MOST_WARNINGS + 5)
    said = [(record.name, record.getMessage()) for record in caplog.records]
    assert said[0] == ("tasks.toy", "0 of 25 is odd")
    assert len(said) == MOST_WARNINGS
    assert said[-1][1] == f"19 of 25 is odd (further warnings stand in {tmp_path / 'worker.log'})"
    assert (tmp_path / "worker.log").read_text().count(" of 25 is odd") == 25


def test_a_worker_that_asks_is_answered_in_turn_and_never_what_a_killed_one_was_told(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []

    def answer() -> dict[str, Any]:
        told.append({"round": len(told)})
        if len(told) == 2:
            raise KeyboardInterrupt
        return told[-1]

    def asking() -> dict[str, Any]:
        return run_worker(MODULE, ToyJob(asks=3), tmp_path, timeout_s=120, answer=answer)

    with pytest.raises(KeyboardInterrupt):
        asking()
    assert asking()["answers"] == [{"round": 2}, {"round": 3}, {"round": 4}]


def test_workers_find_the_programs_of_their_environment_and_keep_what_the_user_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.setenv("VLLM_USE_FLASHINFER_SAMPLER", "1")
    shown = toy(tmp_path, shows=("PATH", "VLLM_USE_FLASHINFER_SAMPLER", "DO_NOT_TRACK"))
    assert shown["PATH"] == f"{Path(sys.executable).parent}:/usr/bin"
    assert (shown["VLLM_USE_FLASHINFER_SAMPLER"], shown["DO_NOT_TRACK"]) == ("1", "1")


def test_a_line_that_cannot_be_read_is_named_and_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As on a disk that was full for a moment: a line was cut, and the next one went on in it."""
    path = tmp_path / "progress.jsonl"
    tail = launch._Tail(path)
    path.write_bytes(b'{"done": 1}\n{"done": 2, "to{"done": 3}\n\xff\n{"done": 4}\n{"done":')
    assert list(tail.lines()) == [{"done": 1}, {"done": 4}]
    assert caplog.text.count(f"a line of {path} cannot be read") == 2


def test_a_second_run_in_the_same_folder_reports_only_its_own_lines(tmp_path: Path) -> None:
    toy(tmp_path)
    seen: list[dict[str, Any]] = []
    run_worker(MODULE, ToyJob(steps=2), tmp_path, timeout_s=120, on_progress=seen.append)
    assert [line["done"] for line in seen] == [1, 2]


@pytest.mark.parametrize(
    ("mode", "error", "message"),
    [
        ("permanent", Permanent, "Permanent: the model does not fit"),
        ("bad-value", Permanent, "ValueError: field steps: 3 is odd"),
        ("broken", WorkerFailed, "RuntimeError: connection reset"),
        ("killed", WorkerFailed, r"exit code -9(.|\n)*last words of the worker"),
        ("silent", WorkerFailed, "exit code 0 and no result"),
    ],
)
def test_failures_say_what_happened_and_whether_a_retry_could_help(
    tmp_path: Path, mode: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        toy(tmp_path, mode=mode)
    assert type(caught.value) is error


def test_a_worker_that_wrote_its_whole_result_and_then_aborts_has_finished(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As vLLM's engine may when the interpreter ends; made again, it would end so again."""
    assert toy(tmp_path, mode="aborts") == {"steps": 3}
    assert f"{MODULE} had finished when it ended with exit code -6" in caplog.text


def test_an_old_result_never_passes_for_a_new_one(tmp_path: Path) -> None:
    toy(tmp_path)
    assert json.loads((tmp_path / "result.json").read_text()) == {"steps": 3}
    with pytest.raises(WorkerFailed):
        toy(tmp_path, mode="silent")


def test_a_job_with_an_unknown_key_is_refused_by_name(tmp_path: Path) -> None:
    class LooseJob(ToyJob):
        stepz: int = 1

    with pytest.raises(Permanent, match="stepz"):
        run_worker(MODULE, LooseJob(), tmp_path, timeout_s=120)


def test_a_deadline_ends_the_whole_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The grandchild ignores SIGTERM, so this also sees the SIGKILL after the grace time."""
    monkeypatch.setattr(launch.end_tree, "__defaults__", (1.0,))
    for timeout_s in (3, 10, 60):
        with pytest.raises(WorkerTimeout, match=f"ran past its {timeout_s} s"):
            toy(tmp_path, timeout_s=timeout_s, mode="hang", pids=str(tmp_path / "pids"))
        # On a busy machine the worker may not have come so far.
        if (tmp_path / "pids").exists():
            break
    wait_gone(wait_for(tmp_path / "pids"), 20)


def test_a_killed_worker_leaves_no_grandchild(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The grandchild has lost its parent by the time the launcher looks."""
    monkeypatch.setattr(launch.end_tree, "__defaults__", (1.0,))
    with pytest.raises(WorkerFailed):
        toy(tmp_path, mode="killed", pids=str(tmp_path / "pids"))
    wait_gone(wait_for(tmp_path / "pids"), 20)


def start_launcher(tmp_path: Path, **job: Any) -> subprocess.Popen[bytes]:
    code = (
        "import signal, sys; from pathlib import Path; from tasks.spine.stage.launch import run_worker;"
        # A shell that starts the tests in the background has them ignore it.
        "signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from tests.support.toy_worker import ToyJob;"
        f"run_worker({MODULE!r}, ToyJob(**{job!r}), Path({str(tmp_path / 'work')!r}), timeout_s=60)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE)


def test_kill_9_of_the_launcher_leaves_no_process(tmp_path: Path) -> None:
    """The kernel tells the worker, and the worker ends its own, even a child that ignores SIGTERM."""
    launcher = start_launcher(tmp_path, mode="hang", pids=str(tmp_path / "pids"))
    pids = wait_for(tmp_path / "pids")
    launcher.kill()
    launcher.wait()
    wait_gone(pids, 20)


def test_ctrl_c_ends_the_worker(tmp_path: Path) -> None:
    launcher = start_launcher(tmp_path, mode="hang", pids=str(tmp_path / "pids"))
    pids = wait_for(tmp_path / "pids")
    psutil.Process(pids[1]).kill()
    launcher.send_signal(signal.SIGINT)
    assert launcher.wait(timeout=60) != 0
    wait_gone(pids, 20)


def test_lines_that_are_not_whole_yet_wait_for_their_end(tmp_path: Path) -> None:
    path = tmp_path / "progress.jsonl"
    tail = launch._Tail(path)
    path.write_text('{"a": 1}\n{"a"')
    assert list(tail.lines()) == [{"a": 1}]
    assert list(tail.lines()) == []
    with path.open("a") as file:
        file.write(": 2}\n")
    assert list(tail.lines()) == [{"a": 2}]
