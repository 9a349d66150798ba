"""The reward of a batch of rollouts, and the fate of each."""

from collections.abc import Callable, Sequence
from typing import Any

from tasks.shared.next_token.method import TIERS, RewardConfig, is_match, length_reward, reward
from tasks.shared.next_token.reader import OUTCOMES, Prediction, Reader


class PredictionReward:
    """Grades rollouts: r = (1 - w) * match + w * r_len, or the match alone without a budget (arXiv 2509.24375)."""

    __name__ = "prediction"

    def __init__(self, config: RewardConfig, reader: Reader) -> None:
        self._config, self.reader = config, reader
        self.likelihoods: Sequence[float] | None = None
        """Log-probability of each true next token behind the thought of its rollout, where that is rewarded: nats, of
        the batch that is graded next."""
        self.matched: list[bool] = []
        """Whether each rollout of the last batch was right."""
        self.fates: list[str] = []
        """Outcome of each of them."""

    def __call__(
        self,
        *,
        completion_ids: Sequence[Sequence[int]],
        tier: Sequence[str],
        budget: Sequence[int],
        target: Sequence[str],
        continuation: Sequence[str],
        boundaries: Sequence[Sequence[int]],
        log_metric: Callable[[str, float], None],
        **_: Any,
    ) -> list[float]:
        """One reward for each rollout, in order."""
        predictions = [self.reader.read(ids) for ids in completion_ids]
        truths = zip(predictions, target, continuation, boundaries, strict=True)
        self.matched = [is_match(prediction.text, *truth, self._config.match) for prediction, *truth in truths]
        for name, values in self._counts(predictions, tier, budget).items():
            log_metric(name, sum(values) / len(predictions))
        earned: Sequence[float] = self.matched
        if self.likelihoods is not None:
            earned, self.likelihoods = self.likelihoods, None
            log_metric("log_likelihood", sum(earned) / len(earned))
        rows = zip(earned, predictions, budget, strict=True)
        return [reward(match, _length(prediction), asked, self._config) for match, prediction, asked in rows]

    def _counts(
        self, predictions: Sequence[Prediction], tier: Sequence[str], budget: Sequence[int]
    ) -> dict[str, list[float]]:
        """Values per rollout; their means over any number of devices are exact, and rates follow from them."""
        self.fates = [
            ("right" if match else "wrong") if prediction.outcome == "predicted" else prediction.outcome
            for match, prediction in zip(self.matched, predictions, strict=True)
        ]
        counts = {f"outcome/{outcome}": [float(name == outcome) for name in self.fates] for outcome in OUTCOMES}
        for drawn in TIERS:
            counts[f"rows/{drawn}"] = [float(name == drawn) for name in tier]
            both = zip(tier, self.matched, strict=True)
            counts[f"right/{drawn}"] = [float(name == drawn and match) for name, match in both]
        lengths = list(map(_length, predictions))
        return {
            **counts,
            "closed": [float(prediction.closed) for prediction in predictions],
            "reasoning_per_rollout": [float(length or 0) for length in lengths],
            "budget_tokens": list(map(float, budget)),
            "length_reward": [
                length_reward(length, asked, self._config) if asked and length is not None else 0.0
                for length, asked in zip(lengths, budget, strict=True)
            ],
        }


def _length(prediction: Prediction) -> int | None:
    """Tokens of closed reasoning; only that has a length to reward."""
    return prediction.reasoning_tokens if prediction.closed else None
