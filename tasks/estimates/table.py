"""The cost of a whole recipe as Markdown tables: every stage over all arms, and memory by phase."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from tasks.estimates.memory import memory
from tasks.estimates.stages import outlined_cost
from tasks.estimates.training_memory import MemoryNeed
from tasks.recipe.base import Recipe
from tasks.shared.costs.devices import GIB, Device
from tasks.shared.costs.machine import StageEstimate, amount
from tasks.spine.stage.plan import PlannedStage


@dataclass(frozen=True)
class CountedRun:
    """One run of a stage, shared by all arms that ask for it with the same settings."""

    stage: str
    cost: StageEstimate


def stage_runs(rows: Iterable[PlannedStage], device: Device) -> list[CountedRun]:
    """The runs that the stage calls of all arms come to, each once."""
    once = {row.ref: row for row in rows}
    return [CountedRun(row.stage, outlined_cost(row, device)) for row in once.values() if row.stage != "model"]


def cost_table(recipe: Recipe, rows: Iterable[PlannedStage], device: Device) -> str:
    """Markdown table: one line a stage, summed over its runs, and the whole.

    Args:
        rows: the stage calls of the recipe's arms.
    """
    runs = stage_runs(rows, device)
    lines = [
        f"| stage | runs | tokens | operations | {device.label}-hours | disk |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for stage in recipe.stages():
        costs = [run.cost for run in runs if run.stage == stage]
        if costs:
            lines.append(_line(stage, costs))
    lines.append(_line("**all**", [run.cost for run in runs], whole=True))
    return "\n".join(lines)


def estimate_numbers(recipe: Recipe, rows: Iterable[PlannedStage], device: Device) -> dict[str, Any]:
    """The numbers of both tables, for programs: hours, counts and bytes."""
    runs = stage_runs(rows, device)
    counted = {stage: [run.cost for run in runs if run.stage == stage] for stage in recipe.stages()}
    stages = [
        {
            "stage": stage,
            "runs": len(costs),
            "tokens": sum(cost.tokens for cost in costs),
            "operations": sum(cost.flops for cost in costs),
            "device_hours": sum(cost.hours for cost in costs),
            "disk_bytes": sum(cost.disk_bytes for cost in costs),
        }
        for stage, costs in counted.items()
        if costs
    ]
    needs = [{**asdict(need), "needed": need.needed, "fits": need.fits} for need in memory(recipe, device)]
    return {"device": device.label, "stages": stages, "memory_bytes": needs}


def memory_table(recipe: Recipe, device: Device) -> str:
    """Markdown table: peak memory of each phase against what it may take; empty for the CPU."""
    needs = memory(recipe, device)
    if not needs:
        return ""
    lines = [
        f"| phase | needs, GiB | of, GiB ({device.label}) | tokens a pass | most tokens | largest parts |",
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
        f"{need.pass_tokens:,}" if need.pass_tokens else "",
        f"{need.most_tokens:,}" if need.most_tokens else "",
        ", ".join(f"{name} {size / GIB:.1f}" for name, size in parts),
    ]
    return f"| {' | '.join(cells)} |"
