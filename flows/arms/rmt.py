"""One arm of reinforcement mid-training: texts, entropy, schedule, training, and the measurements of what it made."""

from collections.abc import Mapping
from typing import get_args

from flows.arms.common import Arm, after_rl, measured
from flows.pipeline.run import call
from flows.stages.decontaminate import decontaminate
from flows.stages.rmt.entropy import entropy
from flows.stages.rmt.predict import predict
from flows.stages.rmt.rmt_train import rmt_train
from flows.stages.rmt.schedule import schedule
from flows.stages.rmt.texts import texts
from flows.stages.rmt.think_tags import think_tags
from tasks.recipe.base import Recipe
from tasks.recipe.loading import load
from tasks.recipe.rmt import RmtArm, RmtRecipe
from tasks.report.config import Method, ReportConfig, ReportEntry
from tasks.report.task import report
from tasks.shared.models.task import import_model
from tasks.spine.stage.plan import announce
from tasks.spine.store.ref import ArtifactRef

Measured = dict[ReportEntry, dict[str, ArtifactRef]]
"""What a checkpoint was measured by: role to artifact."""


def prepare(arm: Arm) -> None:
    """Write the arm's schedule: wrong texts, models and settings show before anything is trained."""
    settings = load(RmtRecipe, arm.recipe, arm.overrides)
    announce(settings, arm.name)
    base = base_of(arm, settings)
    trains = settings.arms[arm.name].train
    if trains:
        # Before entropy, which reads every text: a wrong field of theirs shows in seconds.
        chains(arm, settings)
    held_out(arm, settings)
    if trains:
        planned(arm, base)


def base_of(arm: Arm, settings: RmtRecipe) -> ArtifactRef:
    """The model that training starts from: the recipe's, with think tags where the recipe adds them."""
    if settings.think_tags.enabled:
        return call(think_tags, **arm.stage("think_tags"))
    return import_model(settings.model, settings.runtime)


def tiers(arm: Arm, which: str) -> ArtifactRef:
    """Entropy at every position of the texts; the same for all arms that do not change the texts.

    Nothing is trained on those of a second domain.
    """
    documents = call(texts, which=which, **arm.stage("texts"))
    if which == "texts":
        documents = call(decontaminate, texts=documents, which=which, **arm.stage("decontaminate"))
    return call(entropy, texts=documents, label=which, **arm.stage("entropy"))


def held_out(arm: Arm, settings: RmtRecipe) -> ArtifactRef:
    """Entropy of the documents that are predicted: those of the training corpus, or of a second domain."""
    return tiers(arm, "evaluation_texts" if settings.evaluation_texts else "texts")


def chains(arm: Arm, settings: RmtRecipe) -> dict[str, ArtifactRef]:
    """The long chains that the arm learns beside the texts, if it does."""
    if not settings.rmt_train.chains_per_position:
        return {}
    documents = call(texts, which="chains", **arm.stage("texts"))
    return {"chains": call(decontaminate, texts=documents, which="chains", **arm.stage("decontaminate"))}


def planned(arm: Arm, base: ArtifactRef) -> ArtifactRef:
    """The arm's schedule."""
    sources = {"entropy": tiers(arm, "texts"), "model": base, "label": arm.called(arm.config.label)}
    return call(schedule, **sources, **arm.stage("schedule"))


def run_arm(arm: Arm) -> Measured:
    """Run the stages of one arm; returns the measurements of each checkpoint it passes."""
    settings = load(RmtRecipe, arm.recipe, arm.overrides)
    announce(settings, arm.name)
    config = settings.arms[arm.name]
    policy = base = base_of(arm, settings)
    if config.train:
        rows = planned(arm, base)
        parents = {"schedule": rows, "model": base, **chains(arm, settings)}
        policy = call(rmt_train, **parents, label=arm.called(config.label), **arm.stage("rmt_train"))
    predicted = call(
        predict,
        entropy=held_out(arm, settings),
        model=policy,
        label=arm.called(config.label),
        **arm.stage("predict"),
    )
    found = {entry(arm, config, prediction=True): {"prediction": predicted}}
    if config.rl:
        label = f"{config.label}, then RL"
        evaluation = measured(arm, after_rl(arm, policy, base, label), label)
        found[entry(arm, config, prediction=False)] = {"evaluation": evaluation}
    return {item: {getattr(item, kind): ref for kind, ref in refs.items()} for item, refs in found.items()}


def entry(arm: Arm, config: RmtArm, *, prediction: bool) -> ReportEntry:
    """A line of the report: of the mid-trained checkpoint's predictions, or of its benchmarks after RL."""
    # The untrained model is measured once for all seeds; RL from it has seeds of its own.
    seed = arm.seed if config.train or not prediction else 0
    after = "midtrained" if config.train else "base"
    role = f"{'prediction' if prediction else 'evaluation'}-{arm.name}-{seed}"
    return ReportEntry(
        label=config.label,
        arm=arm.name,
        method=arm.name if arm.name in get_args(Method) else "",
        checkpoint=after if prediction else "rl",
        seed=seed,
        prediction=role if prediction else "",
        evaluation="" if prediction else role,
    )


def report_on(
    settings: Recipe, results: Mapping[ReportEntry, Mapping[str, ArtifactRef]], *, force: bool
) -> ArtifactRef:
    """The report over the measurements of all arms and seeds."""
    assert isinstance(settings, RmtRecipe)
    config = report_config(settings, list(results))
    parents = {role: ref for refs in results.values() for role, ref in refs.items()}
    return report(config, settings.runtime, force=force, label=settings.name, **parents)


def report_config(settings: RmtRecipe, entries: list[ReportEntry]) -> ReportConfig:
    """What the report shows: every arm against the untrained model, and against the arm that it names."""
    ran = {entry.arm: settings.arms[entry.arm] for entry in entries}
    untrained = [arm.label for arm in ran.values() if not arm.train]
    trained = [arm for arm in ran.values() if arm.train]
    pairs = [(label, arm.label) for arm in trained for label in untrained]
    pairs += [(ran[arm.against].label, arm.label) for arm in trained if arm.against in ran]
    return ReportConfig(
        title=f"Reinforcement mid-training: {settings.name}",
        recipe=settings.name,
        notes=settings.notes,
        entries=tuple(entries),
        comparisons=tuple(pairs),
        against_direct=tuple((label, arm.label) for arm in trained for label in untrained),
    )
