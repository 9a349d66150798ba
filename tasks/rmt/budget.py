"""Step 2 (arXiv 2509.24375): the dynamic token budget, and what keeping to it pays."""

from tasks.rmt.method import BudgetConfig, RewardConfig


def elapsed(step: int, steps: int) -> float:
    """t/T, the share of the run that lies behind step t = `step` (from 0) of T = `steps`.

    Raises:
        ValueError: `step` outside 0..`steps`, or no steps.
    """
    if steps < 1 or not 0 <= step <= steps:
        raise ValueError(f"step={step} of steps={steps}: 0 <= step <= steps and steps >= 1 do not hold")
    return step / steps


def budget(step: int, steps: int, config: BudgetConfig) -> int:
    """B_t = max(B_min, B_0 * gamma^(t/T)), tokens of reasoning to ask for at step t = `step` of T = `steps`.

    Rounded to the nearest token: the curve 800 -> 494 -> 259 -> 160 at 0, 30, 70 and 100 % needs that, although the
    formula beside it is written with a floor, which would give 493 at 30 %.
    Steps count from 0, so a run's last step is t = T - 1, just above the end of the curve; t = T is the budget that
    the trained model is left with, and that it is evaluated under. `config.enabled` is the caller's to obey.
    """
    falling = config.start * config.gamma ** elapsed(step, steps)
    return max(config.floor, round(falling))


def length_reward(length: int, budget: int, config: RewardConfig) -> float:
    """r_len, triangular in the reasoning length l: r_max * l / B up to B, r_max * (2B - l) / B up to 2B, then 0."""
    if budget < 1 or length < 0:
        raise ValueError(f"length={length}, budget={budget}: a length reward needs length >= 0 and budget >= 1")
    return config.length_max * max(0, min(length, 2 * budget - length)) / budget
