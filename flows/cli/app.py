"""The `midtrain` command. Heavy imports wait inside the commands, so that help answers at once."""

from pathlib import Path
from typing import Annotated, Any

import typer

from flows.cli.catalog import completion
from flows.cli.catalog.app import catalog_app
from flows.cli.console import Commands, console, exit_with
from flows.cli.options import (
    DeviceOption,
    FieldsOption,
    JsonOption,
    PoolType,
    RecipeOption,
    SetOption,
    VerboseOption,
    parse_benchmarks,
    parse_fields,
    parse_overrides,
    split,
)
from flows.cli.pipelines import plan_app, run_app
from flows.server import MLFLOW_PORT, PREFECT_PORT

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(run_app, name="run")
app.add_typer(plan_app, name="plan")
app.add_typer(catalog_app)


def show_version(asked: bool) -> None:
    """Print version and commit of this project and the versions of what it stands on, and end."""
    if asked:
        from importlib.metadata import version

        from tasks.spine.store.manifest import git_commit, package_versions

        console.print(f"midtrain {version('midtrain')}, commit {git_commit() or 'unknown'}", soft_wrap=True)
        console.print(", ".join(f"{name} {number}" for name, number in package_versions().items()))
        raise typer.Exit


@app.callback()
def midtrain(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Say the version and end.")
    ] = False,
) -> None:
    """Mid-training before RL: on self-generated diverse solutions, or by RL on the next token of plain text."""


@app.command()
def estimate(
    recipe: RecipeOption = "tiny-cpu",
    device: DeviceOption = "",
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """What a recipe costs before it runs: tokens, device-hours, disk, and whether it fits in memory."""
    from flows.cli.printing import show_estimate

    exit_with(show_estimate(recipe, device, parse_overrides(set_), as_json, console))


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="Folder, org/name, s3://... or model/<fingerprint>.")],
    benchmarks: Annotated[str, typer.Option(help="Comma-separated; NAME, or NAME=FILE for one of your own.")] = "",
    samples: Annotated[int | None, typer.Option(help="Completions per question.", min=1)] = None,
    limit: Annotated[int | None, typer.Option(help="Questions of each benchmark at most.", min=1)] = None,
    recipe: Annotated[
        str,
        typer.Option(help="Name or path; empty: tiny-cpu for models of the small world, `defaults` for all others."),
    ] = "",
    set_: SetOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Measure a model: greedy accuracy and pass@k with intervals."""
    from flows.cli.commands import run_and_show
    from flows.pipeline.recipes import fitting_recipe

    overrides = {"model.source": model}
    if wanted := parse_benchmarks(benchmarks):
        overrides["evaluate.benchmarks"] = [*wanted]
        overrides["evaluate.sources"] = {name: path for name, path in wanted.items() if path}
    for key, value in (("samples", samples), ("limit", limit)):
        if value is not None:
            overrides[f"evaluate.{key}"] = value
    parameters = {"recipe": recipe or fitting_recipe(model), "overrides": {**overrides, **parse_overrides(set_)}}
    exit_with(run_and_show("evaluate", parameters, console, verbose))


@app.command()
def questions(
    source: Annotated[str, typer.Argument(help="tiny, a file, org/name of a hub, or s3://...")],
    out: Annotated[Path, typer.Option(help="Parquet file to write.")],
    preset: Annotated[str, typer.Option(help="Schema of the source, e.g. gsm8k, or the path of a YAML file.")] = "",
    fields: FieldsOption = "",
    split: Annotated[str, typer.Option(help="Of the hub, or of a folder whose files' names tell splits.")] = "",
    format_: Annotated[
        str, typer.Option("--format", help="jsonl, json, csv, tsv, parquet; auto: by the ending.")
    ] = "auto",
    limit: Annotated[int | None, typer.Option(help="Questions at most.", min=1)] = None,
    max_rejected_share: Annotated[
        float | None, typer.Option(help="Largest share of rows that may be unusable.", min=0, max=1)
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Write over files that are there.")] = False,
) -> None:
    """Read a question set and write it as Parquet, with what was rejected beside it."""
    from flows.cli.catalog.questions import export_questions

    values: dict[str, Any] = {"source": source, "preset": preset, "split": split, "format": format_, "limit": limit}
    if fields:
        values["fields"] = parse_fields(fields)
    if max_rejected_share is not None:
        values["max_rejected_share"] = max_rejected_share
    exit_with(export_questions(values, out, replace, console))


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="JSONL file, one completion and its gold answer a line.")],
    out: Annotated[Path, typer.Option(help="Parquet file to write: verdict, extracted, rule, seconds.")],
    gold_field: Annotated[str, typer.Option(help="Field of the gold answer.")] = "answer",
    completion_field: Annotated[str, typer.Option(help="Field of the completion.")] = "completion",
    workers: Annotated[int, typer.Option(help="Grader processes.", min=1)] = 1,
    second_check: Annotated[bool, typer.Option(help="Ask Math-Verify as well and say how often it disagrees.")] = True,
) -> None:
    """Judge completions against gold answers: one verdict for every row, without a recipe or a run."""
    from flows.cli.printing import explained
    from flows.cli.verify import FieldNames, verify_file

    fields = FieldNames(gold_field, completion_field)
    exit_with(explained(lambda: verify_file(file, out, fields, workers, second_check, console), console))


@app.command()
def lineage(
    ref: Annotated[str, typer.Argument(help="E.g. model/3f2a9c.", autocompletion=completion.artifacts)] = "",
    question: Annotated[str, typer.Option("--question", help="Which models saw this question or document?")] = "",
    as_json: JsonOption = False,
) -> None:
    """A model's ancestry down to questions, heuristics and verdicts; or which models saw a question."""
    from flows.cli.catalog.lineage import show_lineage
    from flows.cli.printing import explained

    exit_with(explained(lambda: show_lineage(ref, question, as_json, console), console))


@app.command()
def schedule(
    ref: Annotated[str, typer.Argument(help="A schedule, e.g. schedule/3f2a9c.")],
    rows: Annotated[int, typer.Option(help="Rows to show of each tier.", min=1)] = 3,
) -> None:
    """Look at what reinforcement mid-training will ask, before anything is trained."""
    from flows.cli.printing import show_schedule

    exit_with(show_schedule(ref, rows, console))


@app.command()
def report(
    run: Annotated[str, typer.Argument(help="A report artifact; empty: the newest.")] = "", as_json: JsonOption = False
) -> None:
    """Show a report's tables and where its page lies."""
    from flows.cli.printing import show_report

    exit_with(show_report(run, as_json, console))


@app.command()
def deploy(
    pool_type: Annotated[PoolType, typer.Option(help="How workers start runs.")] = PoolType.process,
    gpu_host: Annotated[
        list[str] | None, typer.Option(help="Name of a machine that trains one model at a time; empty: this one.")
    ] = None,
) -> None:
    """Make work pools, limits, automations and deployments on a Prefect server; again, and nothing changes."""
    from flows.cli.commands import deploy_all

    exit_with(deploy_all(pool_type.value, gpu_host or [], console))


@app.command()
def gate(
    run: Annotated[str, typer.Argument(help="Tag or id of a flow run, or a report such as report/3f2a9c.")],
    margin: Annotated[float, typer.Option(help="Loss that is put up with: 0.02 is 2 points.", min=0)] = 0.02,
    metrics: Annotated[str, typer.Option(help="Comma-separated metrics that count.")] = "pass@1",
    sure: Annotated[bool, typer.Option(help="Count only losses whose whole interval is beyond it.")] = False,
    commit: Annotated[str, typer.Option(help="Fail unless the run's code was of this commit (40 digits).")] = "",
    summary: Annotated[Path | None, typer.Option(help="File to append to: $GITHUB_STEP_SUMMARY.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Fail if a run shows a regression: what CI calls after a run."""
    from flows.cli.commands import judge

    exit_with(judge(run, margin, split(metrics), sure, commit, summary, as_json, console))


@app.command()
def gc(
    keep_days: Annotated[float, typer.Option(help="What was made or changed in as many days stays.", min=0)] = 30,
    keep: Annotated[list[str] | None, typer.Option(metavar="REF", help="Keep it and all it was made from.")] = None,
    drop: Annotated[
        list[str] | None, typer.Option(metavar="REPORT", help="Let this report, else kept for good, go.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Delete. Without it, nothing changes.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List what no report, registered model or recent artifact needs, with sizes; delete it with --yes."""
    from flows.cli.commands import collect_garbage

    exit_with(collect_garbage(keep_days, keep or [], drop or [], yes, as_json, console))


@app.command()
def verify_store() -> None:
    """Read everything in the store and name what is damaged; fails where something is."""
    from flows.cli.commands import check_store

    exit_with(check_store(console))


@app.command()
def doctor(
    smoke: Annotated[bool, typer.Option("--smoke", help="Run every kind of work once: minutes, not hours.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say whether this machine is fit to run, and what to do where it is not; fails where something is not."""
    from flows.cli.doctor import examine

    exit_with(examine(smoke, as_json, console))


@app.command()
def ui(
    prefect_port: Annotated[int, typer.Option(help="Port of the Prefect server.")] = PREFECT_PORT,
    mlflow_port: Annotated[int, typer.Option(help="Port of the MLflow server.")] = MLFLOW_PORT,
) -> None:
    """Start the Prefect and MLflow servers on this data and print their addresses; Ctrl-C ends both."""
    from flows.server.ui import serve

    exit_with(serve(prefect_port, mlflow_port, console))
