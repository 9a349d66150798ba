"""Advantages that are divided by the mean reward follow the gradients of pass@k that their paper says."""

from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch

from tasks.errors import Permanent
from tasks.rl.worker import run
from tasks.spine.stage.imports import hide_packages
from tasks.spine.stage.worker import Reporter
from tests.support.rl_jobs import MakeJob

with hide_packages("mlflow", "vllm"):
    from tasks.rl.policy_loss import divided_by_mean
    from tasks.rl.trainer import GroupTrainer


def expected_gradient(chance: float, group_size: int, *, by_mean: bool) -> float:
    """Mean over all groups of the policy gradient of the logit of being right, for a policy that is right so often."""
    total = 0.0
    for fates in product((0.0, 1.0), repeat=group_size):
        rewards = torch.tensor(fates, dtype=torch.float64)
        advantages = rewards - rewards.mean()
        if by_mean:
            advantages = divided_by_mean(advantages, rewards, group_size)
        likelihood = chance ** sum(fates) * (1 - chance) ** (group_size - sum(fates))
        total += likelihood * float((advantages * (rewards - chance)).mean())
    return total


def pass_at_k_slope(chance: float, k: int) -> float:
    """Derivative of pass@k = 1 - (1 - p)^k by the logit of p."""
    return k * (1 - chance) ** (k - 1) * chance * (1 - chance)


@pytest.mark.parametrize("group_size", [2, 5, 8])
@pytest.mark.parametrize("chance", [0.03, 0.4, 0.9])
def test_advantages_by_the_mean_follow_pass_at_k_over_k_for_every_k_below_the_group(
    chance: float, group_size: int
) -> None:
    wanted = sum(pass_at_k_slope(chance, k) / k for k in range(1, group_size))
    assert expected_gradient(chance, group_size, by_mean=True) == pytest.approx(wanted, rel=2e-3)
    # Undivided ones follow pass@1 alone, but for the share of a rollout in its own group's mean.
    plain = (1 - 1 / group_size) * pass_at_k_slope(chance, 1)
    assert expected_gradient(chance, group_size, by_mean=False) == pytest.approx(plain)


def test_each_group_is_divided_by_its_own_mean_and_one_that_is_below_0_is_refused() -> None:
    rewards = torch.tensor([1.0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0])
    advantages = rewards - rewards.view(3, 4).mean(1).repeat_interleave(4)
    found = divided_by_mean(advantages, rewards, 4)
    expected = [3.0, -1, -1, -1, 1 / 3, 1 / 3, 1 / 3, -1, 0, 0, 0, 0]
    torch.testing.assert_close(found, torch.tensor(expected), atol=2e-3, rtol=0)
    with pytest.raises(Permanent, match=r"-0\.500 here; .* set trl.scale_rewards=group"):
        divided_by_mean(advantages, rewards - 0.5, 4)


def test_training_takes_advantages_by_the_mean(
    make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []
    score = GroupTrainer._generate_and_score_completions

    def noted(self: GroupTrainer, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        output = score(self, inputs)
        seen.append(output["advantages"])
        return output

    monkeypatch.setattr(GroupTrainer, "_generate_and_score_completions", noted)
    run(make_job("run", steps=2, trl={"scale_rewards": "mean"}), Reporter(tmp_path / "run"))
    groups = torch.cat(seen).view(-1, 4)
    right = (groups > 0).sum(1, keepdim=True)
    moving = (right > 0).flatten()
    assert moving.any()
    expected = torch.where(groups > 0, 4 / right - 1, -1.0)
    torch.testing.assert_close(groups[moving], expected[moving], atol=2e-3, rtol=0)
