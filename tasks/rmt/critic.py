"""The critic: what a rollout of a position earns on average, as the policy's state at the end of its prompt tells.

With one rollout of each position there is no group whose mean would be the baseline. A baseline changes no gradient on
average as long as it does not follow from the rollout that it judges, so values come from the steps before. The critic
is fitted exactly at every step: a head on gradient descent has hardly moved after tens of steps of a hundred rollouts.
"""

from typing import Any

import torch

from tasks.rl.scoring import length_sorted_passes
from tasks.rmt.config import CriticConfig
from tasks.shared.training.distributed import equally_many

_LEAST_DEVIATION = 1e-4
"""Added to what advantages are divided by, as TRL does."""


@torch.no_grad()
def last_states(model: Any, ids: torch.Tensor, mask: torch.Tensor, tokens_per_pass: int) -> torch.Tensor:
    """The last hidden state at the last token of each prompt, (prompts, size), float32.

    Args:
        model: one with `tasks.shared.training.lm_head.add_state_head`.
        ids: (prompts, width), flush right.
        mask: 1 on the tokens of `ids`, same shape.
        tokens_per_pass: bound on rows times width of one forward pass.
    """
    lengths = mask.sum(1)
    states: list[tuple[torch.Tensor, torch.Tensor]] = []
    passes = list(length_sorted_passes(torch.arange(len(ids), device=ids.device), lengths, tokens_per_pass))
    for part, counts in equally_many(passes, lengths.argmin()[None], ids.device):
        # Causal attention keeps tokens from what stands behind them, so that flush left no mask is needed.
        columns = torch.arange(int(lengths[part].max()), device=ids.device)
        source = (ids.shape[1] - lengths[part])[:, None] + columns
        hidden = model(input_ids=ids[part].gather(1, source.clamp(max=ids.shape[1] - 1)), state_head=True)
        if counts:
            states.append((part, hidden[torch.arange(len(part), device=ids.device), lengths[part] - 1].float()))
    order = torch.cat([part for part, _ in states]).argsort()
    return torch.cat([found for _, found in states])[order]


class Critic:
    """Ridge regression of rewards on states, in which earlier steps fade; the constant term has no penalty.

    Everything that it knows is in `moments`: sums over rollouts of x x^T and, in the last column, of x r.
    """

    def __init__(self, size: int, config: CriticConfig, device: torch.device) -> None:
        self._config = config
        self.moments = torch.zeros(size + 1, size + 2, dtype=torch.float64, device=device)

    def values(self, states: torch.Tensor, rewards: torch.Tensor) -> torch.Tensor:
        """What each rollout was expected to earn, from steps before alone.

        Without any, it is the mean of the other rewards of this step.

        Args:
            states: (rollouts, size) of the whole step.
            rewards: (rollouts,).
        """
        if not self.moments.any():
            return (rewards.sum() - rewards) / max(1, len(rewards) - 1)
        penalty = torch.full((len(self.moments),), self._config.ridge, dtype=torch.float64, device=states.device)
        penalty[-1] = 0
        weights = torch.linalg.solve(self.moments[:, :-1] + penalty.diag(), self.moments[:, -1])
        return _features(states) @ weights

    def learn(self, states: torch.Tensor, rewards: torch.Tensor) -> None:
        """Take a step's rollouts in."""
        features = _features(states)
        both = torch.cat([features, rewards[:, None].double()], 1)
        self.moments = self._config.decay * self.moments + features.T @ both


def advantages(rewards: torch.Tensor, values: torch.Tensor, *, scaled: bool) -> torch.Tensor:
    """What each rollout of a step earned beyond its value, divided by the standard deviation of that if `scaled`.

    Rewards that are all equal have none, as in a group.
    """
    if not varies(rewards):
        return torch.zeros_like(rewards)
    left = rewards - values
    return (left / (left.std() + _LEAST_DEVIATION) if scaled else left).to(rewards.dtype)


def explained_variance(rewards: torch.Tensor, values: torch.Tensor) -> float:
    """Share of the variance of a step's rewards that its values told ahead: 1 - Var(r - V) / Var(r)."""
    return float(1 - (rewards - values).var() / rewards.var())


def varies(rewards: torch.Tensor) -> bool:
    """Whether not all rewards of a step are equal."""
    return bool((rewards != rewards[0]).any())


def _features(states: torch.Tensor) -> torch.Tensor:
    """States of length 1, and a constant."""
    units = torch.nn.functional.normalize(states.double(), dim=1)
    return torch.cat([units, units.new_ones(len(units), 1)], 1)
