"""One arm of method A: from the base model, by the stages that the arm has, to its evaluated checkpoints."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from flows.base import call
from flows.evaluate import evaluate
from flows.filter import filter as filter_flow
from flows.generate import generate
from flows.materialize import materialize
from flows.midtrain import midtrain
from flows.questions import questions
from flows.rl import rl
from tasks.artifacts.plan import announce
from tasks.artifacts.ref import ArtifactRef
from tasks.models.task import import_model
from tasks.recipe.loading import load
from tasks.recipe.polya import PolyaArm, PolyaRecipe
from tasks.report.config import ReportEntry

STAGES = ("questions", "generate", "filter", "materialize", "midtrain", "rl", "evaluate", "report")


@dataclass(frozen=True)
class Arm:
    """What is needed to run one arm at one seed."""

    name: str
    config: PolyaArm
    recipe: str
    overrides: dict[str, JsonValue]
    """Of the run and of the arm, merged."""
    seed: int
    force: Collection[str]

    def stage(self, name: str) -> dict[str, object]:
        """Parameters that every stage flow of this arm gets."""
        return {"recipe": self.recipe, "overrides": self.overrides, "force": name in self.force}


def run_arm(arm: Arm) -> dict[ReportEntry, ArtifactRef]:
    """Run the stages of one arm; returns the evaluation of each checkpoint it passes, the base model's included."""
    settings = load(PolyaRecipe, arm.recipe, arm.overrides)
    announce(settings)
    base = import_model(settings.model, settings.runtime)
    results = {entry(arm, "base", "Base"): measured(arm, base, "Base")}
    policy = base
    if arm.config.midtrain:
        label = "Mid-trained" if arm.name == "polya" else f"Mid-trained ({arm.name})"
        data = str(solutions(arm, base))
        policy = call(midtrain, dataset=data, model=str(base), label=label, **arm.stage("midtrain"))
        results[entry(arm, "midtrained", label)] = measured(arm, policy, label)
    if arm.config.rl:
        asked = call(questions, which="rl_questions", **arm.stage("questions"))
        prompts = call(materialize, which="prompts", questions=str(asked), model=str(base), **arm.stage("materialize"))
        label = arm.config.label
        policy = call(rl, prompts=str(prompts), model=str(policy), label=label, **arm.stage("rl"))
        results[entry(arm, "rl", label)] = measured(arm, policy, label)
    return results


def measured(arm: Arm, model: ArtifactRef, label: str) -> ArtifactRef:
    """The evaluation of a checkpoint."""
    return call(evaluate, model=str(model), label=label, **arm.stage("evaluate"))


def prepare(arm: Arm) -> None:
    """Make the data that the arm trains on."""
    settings = load(PolyaRecipe, arm.recipe, arm.overrides)
    announce(settings)
    if arm.config.midtrain:
        solutions(arm, import_model(settings.model, settings.runtime))


def solutions(arm: Arm, base: ArtifactRef) -> ArtifactRef:
    """The mid-training dataset: questions, solutions under every heuristic, filtering, Parquet."""
    asked = call(questions, which="questions", **arm.stage("questions"))
    sources = {"questions": str(asked), "model": str(base)}
    samples = call(generate, **sources, **arm.stage("generate"))
    kept = call(filter_flow, samples=str(samples), **sources, **arm.stage("filter"))
    return call(materialize, which="solutions", filtered=str(kept), model=str(base), **arm.stage("materialize"))


def entry(arm: Arm, checkpoint: str, label: str) -> ReportEntry:
    """A line of the report; the base model's is the same for all arms and seeds."""
    seed, name = (0, "") if checkpoint == "base" else (arm.seed, arm.name)
    role = "-".join(filter(None, ("evaluation", checkpoint, name, str(seed))))
    return ReportEntry(label=label, arm=name, checkpoint=checkpoint, seed=seed, role=role)


def merged(overrides: Mapping[str, JsonValue], arm: PolyaArm, seed: int) -> dict[str, JsonValue]:
    """Overrides of a run, with the seed, and on top of them those of an arm."""
    return {**overrides, "seed": seed, **arm.overrides}
