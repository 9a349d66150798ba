"""The cost of a whole recipe as Markdown tables: every stage over all arms, and memory by phase."""

from collections.abc import Iterator
from dataclasses import dataclass

from tasks.estimates.memory import memory
from tasks.estimates.stages import estimate
from tasks.estimates.training_memory import MemoryNeed
from tasks.recipe.base import Recipe
from tasks.recipe.polya import PolyaRecipe
from tasks.recipe.rmt import RmtRecipe
from tasks.shared.costs.devices import GIB, Device
from tasks.shared.costs.machine import StageEstimate, amount
from tasks.spine.store.fingerprint import canonical_json

SOLUTIONS = ("questions", "generate", "filter", "dataset")
SCHEDULE = ("texts", "think_tags", "entropy", "schedule")
PROMPTS = ("rl_questions", "rl_prompts")
ORDER = (
    "questions", "generate", "filter", "dataset", "midtrain", "texts", "think_tags", "entropy", "schedule", "rmt_train",
    "predict", "rl_prompts", "rl", "evaluate",
)  # fmt: skip
"""Order of the stages of all methods."""


@dataclass(frozen=True)
class CountedRun:
    """One run of a stage, shared by all arms that ask for it with the same settings."""

    stage: str
    key: str
    cost: StageEstimate


def stage_runs(recipe: Recipe, device: Device) -> list[CountedRun]:
    """Every stage run that the recipe's arms come to at one seed, each once."""
    runs: dict[tuple[str, str], CountedRun] = {}
    for name in recipe.arms:
        arm = recipe.arm(name)
        costs = estimate(arm, device)
        passed = _passed_rmt(arm, name) if isinstance(arm, RmtRecipe) else _passed(arm, name)
        for stage, sections in passed:
            key = canonical_json([stage, *(getattr(arm, section).model_dump(mode="json") for section in sections)])
            runs.setdefault((stage, key), CountedRun(stage, key, costs[stage]))
    return list(runs.values())


def _passed(arm: Recipe, name: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Stages of an arm in order, each with the sections of the recipe that its artifact hangs on."""
    assert isinstance(arm, PolyaRecipe)
    policy: tuple[str, ...] = ()
    yield "evaluate", ("evaluate",)
    if arm.arms[name].midtrain:
        for length, stage in enumerate(SOLUTIONS, start=1):
            yield stage, SOLUTIONS[:length]
        policy = (*SOLUTIONS, "midtrain")
        yield "midtrain", policy
        yield "evaluate", (*policy, "evaluate")
    if arm.arms[name].rl:
        yield "questions", PROMPTS[:1]
        yield "rl_prompts", PROMPTS
        yield "rl", (*policy, *PROMPTS, "rl")
        yield "evaluate", (*policy, *PROMPTS, "rl", "evaluate")


def _passed_rmt(arm: RmtRecipe, name: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Stages of an arm of reinforcement mid-training, each with its sections of the recipe."""
    policy: tuple[str, ...] = ()
    yield "texts", SCHEDULE[:1]
    if arm.think_tags.enabled:
        yield "think_tags", SCHEDULE[:2]
    yield "entropy", SCHEDULE[:3]
    if arm.arms[name].train:
        yield "schedule", SCHEDULE
        policy = (*SCHEDULE, "rmt_train")
        yield "rmt_train", policy
    yield "predict", (*SCHEDULE[:3], *policy, "predict")
    if arm.arms[name].rl:
        yield "questions", PROMPTS[:1]
        yield "rl_prompts", PROMPTS
        yield "rl", (*policy, *PROMPTS, "rl")
        yield "evaluate", (*policy, *PROMPTS, "rl", "evaluate")


def cost_table(recipe: Recipe, device: Device) -> str:
    """Markdown table: one line a stage, summed over its runs, and the whole."""
    runs = stage_runs(recipe, device)
    lines = [
        f"| stage | runs | tokens | operations | {device.label}-hours | disk |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for stage in ORDER:
        costs = [run.cost for run in runs if run.stage == stage]
        if costs:
            lines.append(_line(stage, costs))
    lines.append(_line("**all**", [run.cost for run in runs], whole=True))
    return "\n".join(lines)


def memory_table(recipe: Recipe, device: Device) -> str:
    """Markdown table: peak memory of each phase against what it may take; empty for the CPU."""
    needs = memory(recipe, device)
    if not needs:
        return ""
    lines = [
        f"| phase | needs, GiB | of, GiB ({device.label}) | rows a pass | most rows | largest parts |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    return "\n".join([*lines, *map(_memory_line, needs)])


def _line(stage: str, costs: list[StageEstimate], *, whole: bool = False) -> str:
    tokens = sum(cost.tokens for cost in costs)
    hours = sum(cost.hours for cost in costs)
    flops = sum(cost.flops for cost in costs)
    spent = "" if whole or not tokens else f"{amount(tokens)} {costs[0].what}"
    cells = [
        stage,
        str(len(costs)),
        spent,
        amount(flops) if flops else "",
        f"{hours:.1f}" if hours >= 0.05 else "< 0.1",
        f"{amount(sum(cost.disk_bytes for cost in costs))}B",
    ]
    return f"| {' | '.join(cells)} |"


def _memory_line(need: MemoryNeed) -> str:
    parts = sorted(need.parts.items(), key=lambda part: -part[1])[:3]
    cells = [
        need.phase if need.fits else f"{need.phase}: **too large**",
        f"{need.needed / GIB:.1f}",
        f"{need.available / GIB:.1f}",
        str(need.micro_batch or ""),
        str(need.largest_micro_batch or ""),
        ", ".join(f"{name} {size / GIB:.1f}" for name, size in parts),
    ]
    return f"| {' | '.join(cells)} |"
