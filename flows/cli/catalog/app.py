"""Commands about what there is: settings, recipes, artifacts; and about what leaves the store."""

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.catalog import completion
from flows.cli.console import console, exit_with
from flows.cli.options import DeviceOption, JsonOption, LicenceOption, PushKind

catalog_app = typer.Typer()


@catalog_app.command()
def settings(
    section: Annotated[
        str,
        typer.Argument(help="E.g. rl, evaluate.sampling or rl.steps; empty: all.", autocompletion=completion.settings),
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Settings of recipes: name, default, type, where the default is from, what it does."""
    from flows.cli.catalog.settings import show_settings
    from flows.cli.printing import explained

    exit_with(explained(lambda: show_settings(section, as_json, console), console))


@catalog_app.command()
def recipes(
    as_json: JsonOption = False,
    schema: Annotated[Path | None, typer.Option(help="Write the JSON schema of recipes to this file.")] = None,
) -> None:
    """Recipes that ship: method, device, arms and purpose; or their JSON schema, for editors."""
    from flows.cli.catalog.settings import show_recipes, write_schema
    from flows.cli.printing import explained

    if schema is not None:
        exit_with(explained(lambda: write_schema(schema, console), console))
    else:
        exit_with(explained(lambda: show_recipes(as_json, console), console))


@catalog_app.command()
def init(
    file: Annotated[Path, typer.Argument(help="Recipe to write.")] = Path("recipe.yaml"),
    model: Annotated[str, typer.Option(help="Base model: folder, org/name, s3://...")] = "",
    data: Annotated[str, typer.Option(help="Questions with answers: file, folder, org/name, s3://...")] = "",
    question: Annotated[str, typer.Option(help="Column of the question.")] = "",
    answer: Annotated[str, typer.Option(help="Column of the answer.")] = "",
    device: DeviceOption = "",
) -> None:
    """Write a commented recipe for your own model and questions; asks for what no option says."""
    from flows.cli.catalog.init import write_recipe
    from flows.cli.printing import explained

    answers = {"model": model, "data": data, "question": question, "answer": answer, "device": device}
    exit_with(explained(lambda: write_recipe(file, answers, console), console))


@catalog_app.command("ls")
def list_(
    kind: Annotated[
        str,
        typer.Argument(help="E.g. model, evaluation, dataset, report; empty: all.", autocompletion=completion.kinds),
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Artifacts of the store, oldest first; models with their label and the folder of their files."""
    from flows.cli.catalog.artifacts import list_artifacts
    from flows.cli.printing import explained

    exit_with(explained(lambda: list_artifacts(kind, as_json, console), console))


@catalog_app.command()
def show(
    ref: Annotated[str, typer.Argument(help="An artifact, e.g. model/3f2a9c.", autocompletion=completion.artifacts)],
    as_json: JsonOption = False,
) -> None:
    """One artifact: label, place, counts, what it was made from, files, scores."""
    from flows.cli.catalog.artifacts import show_artifact
    from flows.cli.printing import explained

    exit_with(explained(lambda: show_artifact(ref, as_json, console), console))


@catalog_app.command()
def export(
    ref: Annotated[str, typer.Argument(help="A model, e.g. model/3f2a9c.", autocompletion=completion.models)],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="New or empty folder.")],
    licence: LicenceOption = "",
) -> None:
    """Write a model as a folder: weights, tokenizer, chat template and a model card."""
    from flows.cli.printing import explained
    from tasks.release.export import export_model
    from tasks.spine.stage.context import run_context

    def run() -> None:
        names = export_model(run_context().store, ref, folder.expanduser(), licence)
        console.print(f"Written: {folder}: {', '.join(names)}", soft_wrap=True)

    exit_with(explained(run, console))


@catalog_app.command()
def push(
    kind: Annotated[PushKind, typer.Argument(help="Whether it is a model or a dataset.")],
    ref: Annotated[
        str, typer.Argument(help="E.g. model/3f2a9c or dataset/3f2a9c.", autocompletion=completion.artifacts)
    ],
    repository: Annotated[str, typer.Argument(metavar="ORG/NAME", help="Made where it is not there, private.")],
    public: Annotated[bool, typer.Option("--public", help="A new repository is one that everybody can read.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Commit over the files that are there.")] = False,
    licence: LicenceOption = "",
) -> None:
    """Upload a model or a dataset with its card to the Hugging Face hub, in one commit."""
    from flows.cli.printing import explained
    from tasks.release.hub import push as upload
    from tasks.spine.stage.context import run_context

    def run() -> None:
        options = {"public": public, "replace": replace, "licence": licence}
        address = upload(run_context().store, kind.value, ref, repository, **options)
        console.print(f"Pushed: {address}", soft_wrap=True)

    exit_with(explained(run, console))


@catalog_app.command()
def samples(
    ref: Annotated[
        str,
        typer.Argument(help="Samples, filtered, evaluation, prediction, report or a model of RL, as evaluation/3f2a."),
    ],
    heuristic: Annotated[
        str | None, typer.Option(help="Its name; '' for the plain prompt; direct or reasoning of predictions.")
    ] = None,
    verdict: Annotated[str, typer.Option(help="correct, wrong, unparsed, truncated; or a drop reason, or kept.")] = "",
    model: Annotated[str, typer.Option(help="Part of a model's label.")] = "",
    question: Annotated[str, typer.Option(help="Part of a question's text, or its id.")] = "",
    count: Annotated[int, typer.Option("--n", help="Completions to show at most.", min=1)] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="One object a line.")] = False,
) -> None:
    """Read completions: what was asked, what a model wrote, how it was judged."""
    from flows.cli.catalog.samples import show_samples
    from flows.cli.printing import explained
    from tasks.report.reading import CompletionFilter

    wanted = CompletionFilter(heuristic, verdict, model, question, count)
    exit_with(explained(lambda: show_samples(ref, wanted, as_json, console), console))
