"""What the commands show: stages, results, plans, estimates, schedules; and errors in a line."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.cli.output import from_here, model_name, print_json
from tasks.errors import in_a_line, tells_the_user
from tasks.spine.stage.context import run_context
from tasks.spine.stage.imports import UNUSED_BY_PREFECT, lean_imports
from tasks.spine.store.store import ArtifactMissing, Store
from tasks.spine.tracking.journal import StageRecord, once

if TYPE_CHECKING:
    from tasks.spine.store.ref import ArtifactRef

FAILED = 1


def show_stages(stages: list[StageRecord], console: Console) -> None:
    """What the run built and what it served from the store."""
    table = Table(title="Stages")
    for column in ("stage", "from", "seconds", "artifact"):
        table.add_column(column, justify="right" if column == "seconds" else "left")
    for name, manifest, hit, _ in once(stages):
        seconds = "-" if hit else f"{manifest.seconds:.1f}"
        table.add_row(name, "store" if hit else "built now", seconds, str(manifest.ref))
    console.print(table)


def show_result(store: Store, ref: "ArtifactRef", console: Console) -> None:
    """The tables of a report or an evaluation, what to know about them, and where models and all else lie."""
    from tasks.report.models import measured_models
    from tasks.report.render.terminal import terminal_tables
    from tasks.report.show import tables, warnings

    manifest = store.manifest(ref)
    for table in terminal_tables(tables(manifest)):
        console.print(table)
    for warning in warnings(manifest):
        console.print(Text(f"Read with care: {warning}", "yellow"))
    for model in measured_models(store, manifest):
        console.print(Text.assemble("Model:     ", model_name(model, " " * 11)), soft_wrap=True)
    places = [f"Report:    {from_here(store.local(ref) / 'report.html')}"] if manifest.kind == "report" else []
    places.append(f"MLflow:    {from_here(run_context().settings.mlflow_shown)}   (make ui serves it)")
    places.append(f"Artifacts: {from_here(store.files.uri)}   (this one: {ref})")
    for place in places:
        console.print(place, soft_wrap=True)


def show_estimate(recipe: str, device: str, overrides: dict[str, Any], as_json: bool, console: Console) -> int:
    """Print a recipe's cost and memory as Markdown. Returns an exit code: a failure where memory is short."""
    with lean_imports(*UNUSED_BY_PREFECT):
        from flows.compare import outline
    from tasks.estimates.memory import require_fit
    from tasks.estimates.precision import float32_warnings
    from tasks.estimates.table import cost_table, estimate_numbers, memory_table
    from tasks.recipe.base import Recipe
    from tasks.recipe.loading import load
    from tasks.shared.costs.devices import device_named, device_of

    def run() -> None:
        settings = load(Recipe, recipe, overrides)
        wanted = device or settings.sized_for
        on = device_named(wanted) if wanted else device_of(settings.runtime, settings.sized_for)
        rows, warnings = outline(recipe, overrides), list(float32_warnings(settings, on))
        if as_json:
            print_json({"recipe": settings.name, **estimate_numbers(settings, rows, on), "warnings": warnings})
        else:
            for text in (cost_table(settings, rows, on), "", memory_table(settings, on), "", *warnings):
                console.print(text, soft_wrap=True)
        require_fit(settings, on)

    return explained(run, console)


def show_schedule(ref: str, rows: int, console: Console) -> int:
    """Print a schedule's counts and some of its rows. Returns an exit code."""
    from tasks.schedule.show import first_rows, show

    def run() -> None:
        store = run_context().store
        found = store.ref(ref)
        for table in show(store.manifest(found).summary, first_rows(store.local(found), rows)):
            console.print(table)

    return explained(run, console)


def show_report(run: str, as_json: bool, console: Console) -> int:
    """Print a report's tables and the place of its page. Returns an exit code."""
    from tasks.report.models import measured_models

    def show() -> None:
        store = run_context().store
        reports = store.all("report")
        if not run and not reports:
            raise ArtifactMissing(f"no report in the store {store.files.uri}; make one with `midtrain run polya`")
        ref = store.ref(run) if run else reports[-1].ref
        if not as_json:
            return show_result(store, ref, console)
        models = [
            {"label": model.label, "artifact": str(model.ref), "path": model.path}
            for model in measured_models(store, store.manifest(ref))
        ]
        page = str(store.local(ref) / "report.html")
        print_json({"artifact": str(ref), "page": page, "models_at": models, **store.manifest(ref).summary})

    return explained(show, console)


def explained(run: Callable[[], None], console: Console, after: Callable[[], None] = lambda: None) -> int:
    """Run, and turn errors that the user can mend into one message instead of a traceback."""
    try:
        run()
    except Exception as error:
        if not tells_the_user(error):
            raise
        after()
        show_error(error, console)
        return FAILED
    return 0


def show_error(error: BaseException, console: Console) -> None:
    """Say why the command stops."""
    # A recipe's error says itself what is wrong with each setting, in a line each.
    text = in_a_line(error) if isinstance(error, ValidationError) else str(error).strip() or type(error).__name__
    console.print(Text.assemble(("Stopped:", "bold red"), f" {text}"), soft_wrap=True)
