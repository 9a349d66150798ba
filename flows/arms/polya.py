"""One arm of self-generated mid-training: from the base model to its evaluated checkpoints, stage by stage."""

from collections.abc import Mapping

from flows.arms.common import Arm, after_rl, clean_questions, measured
from flows.pipeline.run import call
from flows.stages.dataset import dataset
from flows.stages.filter import filter as filter_flow
from flows.stages.generate import generate
from flows.stages.interpolate import interpolate
from flows.stages.midtrain import midtrain
from flows.stages.propose import propose
from tasks.recipe.base import Recipe
from tasks.recipe.loading import load
from tasks.recipe.polya import PolyaRecipe
from tasks.report.config import ReportConfig, ReportEntry, StatedClaim
from tasks.report.numbers.before_rl import check_start
from tasks.report.numbers.collect import read_evaluation
from tasks.report.task import report
from tasks.shared.models.task import import_model
from tasks.spine.stage.context import run_context
from tasks.spine.stage.plan import announce
from tasks.spine.store.ref import ArtifactRef


def run_arm(arm: Arm) -> dict[ReportEntry, ArtifactRef]:
    """Run the stages of one arm; returns the evaluation of each checkpoint it passes, the base model's included."""
    settings = load(PolyaRecipe, arm.recipe, arm.overrides)
    announce(settings, arm.name)
    base = import_model(settings.model, settings.runtime)
    results = {entry(arm, "base", "Base"): measured(arm, base, "Base")}
    policy = base
    if arm.config.midtrain:
        label = "Mid-trained" if arm.name == "polya" else f"Mid-trained ({arm.name})"
        data = solutions(arm, settings, base)
        policy = call(midtrain, dataset=data, model=base, label=arm.called(label), **arm.stage("midtrain"))
        if settings.interpolate.alpha < 1:
            label = f"Interpolated ({arm.name})"
            between = {"base": base, "model": policy, "label": arm.called(label)}
            policy = call(interpolate, **between, **arm.stage("interpolate"))
        results[entry(arm, "midtrained", label)] = measured(arm, policy, label)
    if arm.config.rl:
        label = arm.config.label
        _check_start(settings, *list(results.items())[-1])
        beside = {"dataset": solutions(arm, settings, base)} if settings.rl.sft_weight else {}
        results[entry(arm, "rl", label)] = measured(arm, after_rl(arm, policy, base, label, **beside), label)
    return results


def _check_start(settings: PolyaRecipe, start: ReportEntry, evaluation: ArtifactRef) -> None:
    """Stop before RL is paid for where the recipe says so; a plan goes on."""
    context = run_context()
    if settings.max_seldom_share is not None and context.visitor is None:
        store = context.store
        evaluated = read_evaluation(start, store.manifest(evaluation), store.local(evaluation))
        check_start(evaluated, settings.rl.group_size, settings.max_seldom_share)


def prepare(arm: Arm) -> None:
    """Make the data that the arm trains on."""
    settings = load(PolyaRecipe, arm.recipe, arm.overrides)
    announce(settings, arm.name)
    if arm.config.midtrain or settings.rl.sft_weight:
        solutions(arm, settings, import_model(settings.model, settings.runtime))


def solutions(arm: Arm, settings: PolyaRecipe, base: ArtifactRef) -> ArtifactRef:
    """The mid-training dataset: questions, solutions under every heuristic, filtering, Parquet."""
    teacher = settings.generate.model
    writer = import_model(teacher, settings.runtime) if teacher else base
    sources = {"questions": clean_questions(arm, "questions"), "model": writer}
    proposed = {}
    if settings.proposals.kind != "none":
        proposed["proposals"] = call(propose, **sources, label=arm.called(arm.name), **arm.stage("propose"))
    samples = call(generate, **sources, **proposed, label=arm.called(arm.name), **arm.stage("generate"))
    kept = call(filter_flow, samples=samples, label=arm.called(arm.name), **sources, **arm.stage("filter"))
    given = {"filtered": kept, "model": base, "label": arm.called(arm.name)}
    return call(dataset, **given, **arm.stage("dataset"))


def entry(arm: Arm, checkpoint: str, label: str) -> ReportEntry:
    """A line of the report; the base model's is the same for all arms and seeds."""
    seed, name = (0, "") if checkpoint == "base" else (arm.seed, arm.name)
    role = "-".join(filter(None, ("evaluation", checkpoint, name, str(seed))))
    return ReportEntry(label=label, arm=name, checkpoint=checkpoint, seed=seed, evaluation=role)


def report_on(settings: Recipe, results: Mapping[ReportEntry, ArtifactRef], *, force: bool) -> ArtifactRef:
    """The report over the evaluations of all arms and seeds."""
    assert isinstance(settings, PolyaRecipe)
    config = report_config(settings, list(results))
    parents = {entry.evaluation: ref for entry, ref in results.items()}
    return report(config, settings.runtime, force=force, label=settings.name, **parents)


def report_config(settings: PolyaRecipe, entries: list[ReportEntry]) -> ReportConfig:
    """What the report shows: its entries; each mid-trained arm after RL against RL from the base and its control; what
    the recipe claims.
    """
    ran = {name: arm for name, arm in settings.arms.items() if arm.rl and name in {entry.arm for entry in entries}}
    pairs: list[tuple[str, str]] = []
    for arm in ran.values():
        controls = [other for other in ran.values() if arm.midtrain and other.is_plain_rl]
        if arm.against in ran:
            controls.append(ran[arm.against])
        pairs += [(control.label, arm.label) for control in controls]
    claims = tuple(
        StatedClaim(higher=arm.label, lower=ran[other].label, **claim.model_dump())
        for arm in ran.values()
        for other, claim in arm.above.items()
        if other in ran
    )
    pairs += [claim.pair for claim in claims if claim.pair not in pairs]
    return ReportConfig(
        title=f"Mid-training before RL: {settings.name}",
        recipe=settings.name,
        notes=settings.notes,
        entries=tuple(entries),
        comparisons=tuple(pairs),
        claims=claims,
    )
