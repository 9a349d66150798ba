"""What the commands do that run, plan, deploy or delete."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import psutil
from rich.console import Console
from rich.text import Text

from flows.cli.printing import FAILED, explained, show_result, show_stages
from flows.server.environment import for_one_person, prepare, start_temporary_server
from flows.server.reaching import StartingServer, wait_for_server
from flows.server.result_storage import save_result_storage
from tasks.spine.process import Interrupted
from tasks.spine.stage.context import run_context, run_context_with
from tasks.spine.stage.imports import UNUSED_BY_PREFECT, lean_imports
from tasks.spine.stage.launch import end_tree
from tasks.spine.stage.plan import count_stages, planning
from tasks.spine.stage.prefect_retry import retry_while_unreachable
from tasks.spine.tracking.course import Course
from tasks.spine.tracking.journal import StageRecord

if TYPE_CHECKING:
    from prefect import Flow

    from tasks.spine.store.ref import ArtifactRef

LEAVE_AFTER_S = 10.0
"""Time that an interrupted run has to end its worker and to say so to Prefect."""


def flow_named(name: str) -> "Flow[..., ArtifactRef]":
    """A flow of this package by its name."""
    import importlib

    from flows.stages import stage_modules

    with lean_imports(*UNUSED_BY_PREFECT):
        return getattr(importlib.import_module(stage_modules().get(name, f"flows.{name}")), name)


def run_and_show(name: str, parameters: dict[str, Any], console: Console, verbose: bool = False) -> int:
    """Run a flow in this process, show how far it is (`verbose`: Prefect's log), then what came out; an exit code."""
    settings = run_context().settings
    stages: list[StageRecord] = []

    def run() -> None:
        from flows.pipeline.recipes import check_parameters

        prepare(settings)
        check_parameters(name, parameters)
        starting = start_temporary_server(settings)
        if starting is None:
            _wait(None, console)
        flow = flow_named(name)
        with quietly(), planning(run_context().store) as plan:
            # What a plan refuses, such as a source that is not there, becomes no failed run.
            flow.fn(**parameters)
        _wait(starting, console)
        from prefect import tags

        from flows.progress.terminal import followed
        from flows.server.left_runs import close_left_runs, command_tags

        close_left_runs(settings)
        save_result_storage(settings)
        course = Course(count_stages(plan.rows))
        context = run_context_with(settings=settings, journal=stages, course=course)
        with for_one_person(), tags(*command_tags()), context, followed(course, console, verbose):
            ref = retry_while_unreachable(lambda: flow(**parameters))
        show_stages(stages, console)
        show_result(run_context().store, ref, console)

    with interruptions(console):
        return explained(run, console, lambda: show_stages(stages, console) if stages else None)


def _wait(starting: StartingServer | None, console: Console) -> None:
    """Wait for the Prefect server of the environment or, once Prefect is imported, of its profile."""
    address = os.environ.get("PREFECT_API_URL", "")
    if not address and "prefect" in sys.modules:
        from prefect.settings import PREFECT_API_URL

        address = PREFECT_API_URL.value() or ""
    if address:
        wait_for_server(address, starting, lambda line: console.print(line, soft_wrap=True))


@contextmanager
def quietly() -> Iterator[None]:
    """Without the log of the tasks: what a plan meets there is said again by the run, and matters to no doctor."""
    logger = logging.getLogger("tasks")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def interruptions(console: Console) -> Iterator[None]:
    """Ctrl-C, SIGTERM and crashes end the command by `leave`, with a failure code.

    Signals raise, and are noted: an error that they lead to on the way out may hide them, and libraries swallow what
    comes up behind their bare `except` or in a destructor, such as of an import.

    What the exception has not ended after `LEAVE_AFTER_S`, or at a second signal, is ended all the same.

    Without a handler of its own, SIGTERM would end the command at once and leave a temporary server behind.
    """
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)
        # What libraries log of runs that end so: the command says it in a line.
        for handler in logging.getLogger().handlers:
            handler.setLevel(logging.CRITICAL + 1)
        if len(received) > 1:
            leave(console, received)
        timer = threading.Timer(LEAVE_AFTER_S, leave, [console, received])
        timer.daemon = True
        timer.start()
        raise Interrupted

    former = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except BaseException:
        leave(console, received)
    if received:
        leave(console, received)
    for number, handler in former.items():
        signal.signal(number, handler)


def show_plan(name: str, parameters: dict[str, Any], as_json: bool, console: Console) -> int:
    """Walk a flow's code without running anything and print hit or miss per stage. Returns an exit code."""

    def run() -> None:
        from flows.cli.plans import print_plan
        from flows.pipeline.recipes import check_parameters

        prepare(run_context().settings)
        check_parameters(name, parameters)
        with quietly(), planning(run_context().store) as plan:
            flow_named(name).fn(**parameters)
        print_plan(plan.rows, as_json, console)

    return explained(run, console)


def deploy_all(pool_type: str, gpu_hosts: list[str], console: Console) -> int:
    """Put everything on the Prefect server that the environment names. Returns an exit code."""

    def run() -> None:
        prepare(run_context().settings)
        from prefect.settings import PREFECT_API_URL

        _wait(None, console)
        if not PREFECT_API_URL.value():
            raise ValueError("no Prefect server; start one with `midtrain ui`, or set PREFECT_API_URL to yours")
        from flows.server.deploy import deploy

        deploy(pool_type, gpu_hosts, console)

    return explained(run, console)


def judge(
    run: str,
    margin: float,
    metrics: list[str],
    sure: bool,
    commit: str,
    summary: Path | None,
    as_json: bool,
    console: Console,
) -> int:
    """Look for regressions in a run's comparisons. Returns an exit code."""
    codes: list[int] = []

    def look() -> None:
        prepare(run_context().settings)
        if not run.startswith("report/"):
            _wait(None, console)
        from flows.cli.gate import gate

        codes.append(gate(run, margin, metrics, sure, commit, summary, as_json, console))

    return explained(look, console) or codes[0]


def collect_garbage(
    keep_days: float, keep: list[str], drop: list[str], yes: bool, as_json: bool, console: Console
) -> int:
    """List what nothing in the store needs any more, and delete it with `yes`. Returns an exit code."""
    from flows.cli.gc import collect

    asked: dict[str, Any] = {"keep_days": keep_days, "keep": keep, "drop": drop, "yes": yes, "as_json": as_json}
    codes: list[int] = []
    failed = explained(lambda: codes.append(collect(run_context().settings, console, **asked)), console)
    return failed or codes[0]


def check_store(console: Console) -> int:
    """Read everything in the store. Returns an exit code: a failure where something is damaged."""
    from flows.cli.verify_store import verify_store

    codes: list[int] = []
    return explained(lambda: codes.append(verify_store(run_context().store, console)), console) or codes[0]


def leave(console: Console, received: list[int]) -> NoReturn:
    """End at once after Ctrl-C, SIGTERM or a crash: children first, then this process.

    Prefect's temporary server may have got the same signal, and an ordinary exit would wait for it to take events.
    """
    if received:
        console.show_cursor()
        console.print(Text.assemble(("Stopped;", "bold"), " a rerun goes on from what is done."))
        code = 128 + received[0]
    else:
        console.print_exception(max_frames=20)
        code = FAILED
    try:
        for child in psutil.Process().children():
            end_tree(child.pid)
        console.file.flush()
    finally:
        # Whatever goes wrong on the way: this may run in a thread whose errors nobody sees.
        os._exit(code)
