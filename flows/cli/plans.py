"""`midtrain plan`: the stages of a pipeline with verdict, arm and cost, for people and for programs."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from flows.cli.output import print_json
from tasks.estimates.detectable import planned_effects
from tasks.estimates.precision import planned_warnings
from tasks.estimates.stages import planned_cost, planned_total
from tasks.spine.stage.plan import PlannedStage


@dataclass(frozen=True)
class PlanLine:
    """Calls of a stage that differ by nothing that is shown."""

    stage: str
    arms: tuple[str, ...]
    """Arms that ask for it; empty for what is made for all of them."""
    times: int
    verdict: str
    why: str
    cost: str
    artifact: str
    """What a hit takes from the store; else empty."""


def plan_lines(rows: Sequence[PlannedStage]) -> list[PlanLine]:
    """Stages of a plan in the order in which they would run."""
    groups: dict[tuple[str, ...], list[PlannedStage]] = {}
    for row in rows:
        artifact = str(row.ref) if row.verdict == "hit" else ""
        groups.setdefault((row.stage, row.verdict, row.why, planned_cost(row), artifact), []).append(row)
    arms = {row.arm for row in rows if row.arm}
    lines = []
    for (stage, verdict, why, cost, artifact), alike in groups.items():
        named = tuple(dict.fromkeys(row.arm for row in alike if row.arm))
        of = named if set(named) != arms else ()
        lines.append(PlanLine(stage, of, len({row.ref for row in alike}), verdict, why, cost, artifact))
    return lines


def plan_table(rows: Sequence[PlannedStage]) -> Table:
    """The plan for a terminal."""
    table = Table(title="Plan (nothing was run)", caption=planned_total(rows))
    for column in ("stage", "arm", "times", "verdict", "why", "cost each", "artifact"):
        fixed, justify = column in ("stage", "artifact"), "right" if column == "times" else "left"
        table.add_column(column, overflow="fold", no_wrap=fixed, justify=justify)
    for line in plan_lines(rows):
        of = ", ".join(line.arms) or "all"
        table.add_row(line.stage, of, str(line.times), line.verdict, line.why, line.cost, line.artifact or "-")
    return table


def print_plan(rows: Sequence[PlannedStage], as_json: bool, console: Console) -> None:
    """Print a plan, with what is unwise in it and what it cannot show."""
    warnings = list(planned_warnings(rows))
    effects = planned_effects(rows)
    if as_json:
        said: dict[str, Any] = {"total": planned_total(rows), "warnings": warnings}
        said["detectable"] = [asdict(effect) for effect in effects]
        return print_json({"stages": [asdict(line) for line in plan_lines(rows)], **said})
    console.print(plan_table(rows))
    for text in (*warnings, *(effect.text for effect in effects)):
        console.print(text, soft_wrap=True)
