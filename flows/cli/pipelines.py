"""`midtrain run NAME` and `midtrain plan NAME`: the options of each pipeline become the parameters of its flow."""

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature
from typing import Annotated, Any

import typer

from flows.cli.catalog import completion
from flows.cli.console import console, exit_with
from flows.cli.options import (
    ArmsOption,
    DocumentsOption,
    ForceOption,
    JsonOption,
    LimitOption,
    ModelOption,
    RecipeOption,
    RmtRecipeOption,
    SeedOption,
    SetOption,
    VerboseOption,
    parse_overrides,
    split,
    split_seeds,
)

run_app = typer.Typer(help="Run a pipeline on this machine.", no_args_is_help=True)
plan_app = typer.Typer(help="Say per stage: hit or miss, why, at what cost. Runs nothing.", no_args_is_help=True)


def pipeline(read: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Make `midtrain run NAME` and `midtrain plan NAME` of what turns options into the parameters of the flow NAME."""
    name = read.__name__

    @wraps(read)
    def run(verbose: VerboseOption = False, **options: Any) -> None:
        from flows.cli.commands import run_and_show

        exit_with(run_and_show(name, read(**options), console, verbose))

    @wraps(read)
    def plan(as_json: JsonOption = False, **options: Any) -> None:
        from flows.cli.commands import show_plan

        exit_with(show_plan(name, read(**options), as_json, console))

    run_app.command(name)(_with_option(run, "verbose", VerboseOption))
    plan_app.command(name)(_with_option(plan, "as_json", JsonOption))
    return read


def _with_option(command: Callable[..., None], name: str, option: Any) -> Callable[..., None]:
    """A command that stands for another function's options, with an option of its own behind them."""
    options = signature(command)
    own = Parameter(name, Parameter.KEYWORD_ONLY, default=False, annotation=option)
    command.__signature__ = options.replace(parameters=[*options.parameters.values(), own])  # type: ignore[attr-defined]
    command.__annotations__ = {**command.__annotations__, name: option}
    return command


@pipeline
def polya(
    recipe: RecipeOption = "tiny-cpu",
    set_: SetOption = None,
    limit: LimitOption = None,
    seed: SeedOption = None,
    base_model: ModelOption = "",
    arms: ArmsOption = "",
    force: ForceOption = None,
) -> dict[str, Any]:
    """Self-generated mid-training: questions, generation, filtering, dataset, mid-training, RL, evaluation, report."""
    flat = {"recipe": recipe, "limit": limit, "seed": seed, "base_model": base_model}
    return {**flat, "arms": split(arms), "force": force or [], "overrides": parse_overrides(set_)}


@pipeline
def rmt(
    recipe: RmtRecipeOption = "tiny-cpu-rmt",
    set_: SetOption = None,
    limit: DocumentsOption = None,
    seed: SeedOption = None,
    base_model: ModelOption = "",
    arms: ArmsOption = "",
    force: ForceOption = None,
) -> dict[str, Any]:
    """Reinforcement mid-training: texts, entropy, schedule, training, next-token accuracy, RL afterwards, report."""
    flat = {"recipe": recipe, "limit": limit, "seed": seed, "base_model": base_model}
    return {**flat, "arms": split(arms), "force": force or [], "overrides": parse_overrides(set_)}


@pipeline
def compare(
    recipe: RecipeOption = "tiny-cpu",
    set_: SetOption = None,
    seeds: Annotated[str, typer.Option(help="Comma-separated seeds.")] = "0,1,2",
    arms: Annotated[
        str, typer.Option(help="Comma-separated arms of the recipe; empty: all.", autocompletion=completion.arms)
    ] = "",
    force: ForceOption = None,
) -> dict[str, Any]:
    """Every arm at several seeds, compared on the same questions."""
    flat = {"recipe": recipe, "seeds": split_seeds(seeds), "arms": split(arms)}
    return {**flat, "force": force or [], "overrides": parse_overrides(set_)}
