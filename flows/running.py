"""What the commands do: run a flow and show its result, plan one, show lineage."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import psutil
from rich.console import Console
from rich.table import Table

from flows.environment import for_one_person, prepare, start_temporary_server, wait_for_server
from flows.results import save_result_storage
from tasks.artifacts.journal import Passed, journal, once
from tasks.artifacts.plan import PlannedStage, planning
from tasks.artifacts.settings import Settings
from tasks.artifacts.store import ArtifactMissing, Store
from tasks.launch import end_tree
from tasks.worker import Permanent

if TYPE_CHECKING:
    from prefect import Flow

    from tasks.artifacts.ref import ArtifactRef

FAILED = 1
LEAVE_AFTER_S = 10.0
"""Time that an interrupted run has to end its worker and to say so to Prefect."""


def flow_named(name: str) -> "Flow[..., ArtifactRef]":
    """A flow of this package by its name."""
    import importlib

    return getattr(importlib.import_module(f"flows.{name}"), name)


def run_and_show(name: str, parameters: dict[str, Any], console: Console) -> int:
    """Run a flow in this process, then print what each stage did and what came out. Returns an exit code."""
    settings = Settings()
    prepare(settings)
    stages: list[Passed] = []

    def run() -> None:
        journal.set(stages)
        flow = flow_named(name)
        wait_for_server()
        save_result_storage(settings)
        with for_one_person():
            ref = flow(**parameters)
        show_stages(stages, console)
        show_result(Store.open(settings), ref, console)

    with interruptions(console) as received:
        try:
            start_temporary_server(settings)
            return _explained(run, console, lambda: show_stages(stages, console))
        except BaseException:
            leave(console, received)


@contextmanager
def interruptions(console: Console) -> Iterator[list[int]]:
    """Ctrl-C and SIGTERM raise, and are noted: an error that they lead to on the way out may hide them.

    What the exception has not ended after `LEAVE_AFTER_S`, or at a second signal, is ended all the same: Prefect goes
    on for minutes to report to a temporary server that the same Ctrl-C has ended.

    Prefect handles SIGTERM inside a flow and passes it on; before the first flow, only this keeps it from ending the
    command at once and leaving a temporary server behind.
    """
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if len(received) > 1:
            leave(console, received)
        timer = threading.Timer(LEAVE_AFTER_S, leave, [console, received])
        timer.daemon = True
        timer.start()
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(128 + number)

    former = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def show_plan(name: str, parameters: dict[str, Any], console: Console) -> int:
    """Walk a flow's code without running anything and print hit or miss per stage. Returns an exit code."""
    prepare(Settings())

    def run() -> None:
        logger = logging.getLogger("tasks")
        level = logger.level
        logger.setLevel(logging.ERROR)
        try:
            with planning(Store.open()) as plan:
                flow_named(name).fn(**parameters)
        finally:
            logger.setLevel(level)
        console.print(plan_table(plan.rows))

    return _explained(run, console)


def plan_table(rows: list[PlannedStage]) -> Table:
    """Stages of a plan in the order in which they would run, each once."""
    from tasks.estimates.stages import planned_cost

    table = Table(title="Plan (nothing was run)")
    for column in ("stage", "verdict", "why", "expected cost", "artifact"):
        table.add_column(column, overflow="fold", no_wrap=column in ("stage", "artifact"))
    # Two arms may wait for the same thing and still cost differently.
    for row, cost in dict.fromkeys((row, planned_cost(row)) for row in rows):
        table.add_row(row.stage, row.verdict, row.why, cost, str(row.ref) if row.verdict == "hit" else "-")
    return table


def show_estimate(recipe: str, device: str, overrides: dict[str, Any], console: Console) -> int:
    """Print a recipe's cost and memory as Markdown. Returns an exit code: a failure where memory is short."""
    from tasks.estimates.devices import device_named, device_of
    from tasks.estimates.memory import require_fit
    from tasks.estimates.table import cost_table, memory_table
    from tasks.recipe.base import Recipe
    from tasks.recipe.loading import load

    def run() -> None:
        settings = load(Recipe, recipe, overrides)
        wanted = device or settings.sized_for
        on = device_named(wanted) if wanted else device_of(settings)
        for table in (cost_table(settings, on), memory_table(settings, on)):
            console.print(table, soft_wrap=True, highlight=False, markup=False)
            console.print()
        require_fit(settings, on)

    return _explained(run, console)


def show_stages(stages: list[Passed], console: Console) -> None:
    """What the run built and what it served from the store."""
    table = Table(title="Stages")
    for column in ("stage", "from", "seconds", "artifact"):
        table.add_column(column, justify="right" if column == "seconds" else "left")
    for name, manifest, hit, _ in once(stages):
        seconds = "-" if hit else f"{manifest.seconds:.1f}"
        table.add_row(name, "store" if hit else "built now", seconds, str(manifest.ref))
    console.print(table)


def show_result(store: Store, ref: "ArtifactRef", console: Console) -> None:
    """The tables of a report or an evaluation, and where everything lies."""
    from tasks.report.terminal import tables

    manifest = store.manifest(ref)
    for table in tables(manifest):
        console.print(table)
    settings = Settings()
    if manifest.kind == "report":
        console.print(f"Report:    {_from_here(store.local(ref) / 'report.html')}", soft_wrap=True)
    console.print(f"MLflow:    {_from_here(settings.mlflow_uri)}   (make ui serves it)", soft_wrap=True)
    console.print(f"Artifacts: {_from_here(store.files.uri)}   (this one: {ref})", soft_wrap=True)


def _from_here(place: str | Path) -> str:
    """A place as seen from the current folder, which is shorter and can be pasted."""
    return str(place).replace(f"{Path.cwd()}/", "")


def show_lineage(ref: str, question: str, console: Console) -> int:
    """Print an artifact's ancestry, or the models that saw a question. Returns an exit code."""
    from tasks.artifacts import lineage

    def run() -> None:
        store = Store.open()
        if question:
            console.print(lineage.render_sightings(store, question))
        if ref:
            console.print(lineage.render_ancestry(store, store.ref(ref)))

    return _explained(run, console)


def show_schedule(ref: str, rows: int, console: Console) -> int:
    """Print a schedule's counts and some of its rows. Returns an exit code."""
    from tasks.schedule.show import first_rows, show

    def run() -> None:
        store = Store.open()
        found = store.ref(ref)
        for table in show(store.manifest(found).summary, first_rows(store.local(found), rows)):
            console.print(table)

    return _explained(run, console)


def deploy_all(pool_type: str, gpu_hosts: list[str], console: Console) -> int:
    """Put everything on the Prefect server that the environment names. Returns an exit code."""
    prepare(Settings())

    def run() -> None:
        from prefect.settings import PREFECT_API_URL

        if not PREFECT_API_URL.value():
            raise ValueError("no Prefect server; start one with `midtrain ui`, or set PREFECT_API_URL to yours")
        from flows.deploy import deploy

        deploy(pool_type, gpu_hosts, console)

    return _explained(run, console)


def judge(run: str, margin: float, metrics: list[str], sure: bool, summary: Path | None, console: Console) -> int:
    """Look for regressions in a run's comparisons. Returns an exit code."""
    prepare(Settings())
    codes: list[int] = []

    def look() -> None:
        from flows.gate import gate

        codes.append(gate(run, margin, metrics, sure, summary, console))

    return _explained(look, console) or codes[0]


def show_report(run: str, console: Console) -> int:
    """Print a report's tables and the place of its page. Returns an exit code."""

    def show() -> None:
        store = Store.open()
        reports = store.all("report")
        if not run and not reports:
            raise ArtifactMissing(f"no report in the store {store.files.uri}; make one with `midtrain run polya`")
        show_result(store, store.ref(run) if run else reports[-1].ref, console)

    return _explained(show, console)


def collect_garbage(keep_days: float, keep: list[str], drop: list[str], yes: bool, console: Console) -> int:
    """List what nothing in the store needs any more, and delete it with `yes`. Returns an exit code."""
    from flows.clean import collect

    codes: list[int] = []
    settings = Settings()
    failed = _explained(
        lambda: codes.append(collect(settings, console, keep_days=keep_days, keep=keep, drop=drop, yes=yes)), console
    )
    return failed or codes[0]


def export_questions(values: dict[str, Any], out: Path, console: Console) -> int:
    """Read a question set into a Parquet file. Returns an exit code."""
    from tasks.questions.config import QuestionsConfig
    from tasks.questions.load import load
    from tasks.questions.sources import resolve

    def run() -> None:
        counts = load(resolve(QuestionsConfig(**values)), out)
        console.print(counts)

    return _explained(run, console)


def _explained(run: Callable[[], None], console: Console, after: Callable[[], None] = lambda: None) -> int:
    """Run, and turn errors that the user can mend into one message instead of a traceback."""
    try:
        run()
    except (Permanent, ArtifactMissing, ValueError) as error:
        after()
        console.print(f"[bold red]Stopped:[/] {error}", soft_wrap=True, highlight=False)
        return FAILED
    return 0


def leave(console: Console, received: list[int]) -> NoReturn:
    """End at once after Ctrl-C, SIGTERM or a crash: children first, then this process.

    Prefect's temporary server may have got the same signal, and an ordinary exit would wait for it to take events.
    """
    if received:
        console.print("[bold]Stopped;[/] a rerun goes on from what is done.")
        code = 128 + received[0]
    else:
        console.print_exception(max_frames=20)
        code = FAILED
    for child in psutil.Process().children():
        end_tree(child.pid)
    console.file.flush()
    os._exit(code)
