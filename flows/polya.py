"""Self-generated mid-training as one pipeline, then RL, against its controls (arXiv 2605.08472)."""

from typing import Annotated

from pydantic import Field, JsonValue

from flows.compare import run_comparison
from flows.pipeline.forms import (
    About,
    Benchmarks,
    Dispatch,
    PolyaArms,
    PolyaName,
    PolyaOverrides,
    Preset,
    QuestionSource,
    RLQuestionSource,
    stages_form,
)
from flows.pipeline.run import flow, with_fields
from tasks.config import Seed
from tasks.recipe.polya import PolyaRecipe
from tasks.spine.store.ref import ArtifactRef

BaseModelName = Annotated[str, About("Folder, org/name of a hub, s3://... or artifact; empty keeps the recipe's.")]
RunSeed = Annotated[Seed | None, About("Of generation and training; empty keeps the recipe's.")]
Limit = Annotated[int | None, Field(ge=1), About("Seed questions at most; empty keeps the recipe's.")]
ForceStages = Annotated[list[str], stages_form(PolyaRecipe)]


@flow(name="polya", flow_run_name="polya-{recipe}")
def polya(
    recipe: PolyaName = "tiny-cpu",
    base_model: BaseModelName = "",
    question_source: QuestionSource = "",
    question_preset: Preset = "",
    rl_question_source: RLQuestionSource = "",
    rl_question_preset: Preset = "",
    benchmarks: Benchmarks = [],  # noqa: B006 - Prefect shows the default in its form
    arms: PolyaArms = [],  # noqa: B006
    seed: RunSeed = None,
    limit: Limit = None,
    dispatch: Dispatch = "",
    force: ForceStages = [],  # noqa: B006
    overrides: PolyaOverrides = {},  # noqa: B006
) -> ArtifactRef:
    """Questions, solutions under every heuristic, filtering, Parquet, mid-training, GRPO, evaluation, report.

    Runs every arm of the recipe at one seed, or those that `arms` names, and returns the report that compares them.
    """
    given: dict[str, JsonValue] = {
        "model.source": base_model,
        "questions.source": question_source,
        "questions.preset": question_preset,
        "rl_questions.source": rl_question_source,
        "rl_questions.preset": rl_question_preset,
        "questions.limit": limit,
        "evaluate.benchmarks": benchmarks,
        "runtime.dispatch": dispatch,
    }
    flat, seeds = with_fields(overrides, given), None if seed is None else [seed]
    return run_comparison(recipe, flat, seeds=seeds, arms=arms, force=force, kind=PolyaRecipe)
