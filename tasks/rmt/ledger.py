"""Counts of a run's positions, rollouts and tokens, which add up."""

from collections.abc import Callable, Sequence

from tasks.errors import Permanent
from tasks.rmt.rows import Run
from tasks.shared.next_token.reader import OUTCOMES
from tasks.shared.training.curve import Point


def count(
    run: Run, history: Sequence[Point], group_size: int, num_iterations: int, text_tokens: Callable[[int], int]
) -> dict[str, int]:
    """The ledger of a run, over restarts too.

    Args:
        history: the metrics of every optimiser step.
        text_tokens: tokens under L_NTP in one step of the schedule.

    Raises:
        Permanent: rollouts are not the sum of their fates, or other tokens were trained than planned.
    """
    graded = [point for point in history if "outcome_right" in point]
    batch = run.positions_per_step * group_size
    outcomes = {name: sum(round(point[f"outcome_{name}"] * batch) for point in graded) for name in OUTCOMES}
    steps = [index // num_iterations for index in range(len(history))]
    ledger = {
        "steps": len(set(steps)),
        "documents": len({name for step in set(steps) for name in run.documents_of(step)}),
        "drawn_positions": len(graded) * run.positions_per_step,
        "rollouts": len(graded) * batch,
        **outcomes,
        "rl_tokens": round(sum(point["rl_tokens"] for point in history)),
        "ntp_tokens": round(sum(point["ntp_tokens"] for point in history)),
    }
    planned = sum(map(text_tokens, steps))
    if sum(outcomes.values()) != ledger["rollouts"] or planned != ledger["ntp_tokens"]:
        raise Permanent(f"the ledger does not add up: {ledger}, with {planned} tokens of plain text in the schedule")
    return ledger
