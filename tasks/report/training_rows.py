"""Rows on what models are trained from: solutions by heuristic, and the models that RL starts from."""

from pydantic import BaseModel

from tasks.report.rows import Metric


class HeuristicRow(BaseModel):
    """What became of the solutions written under one heuristic."""

    arms: str
    """Arms that use it."""
    name: str
    """Empty: the plain prompt."""
    samples: int
    correct: int
    kept: int
    goes_on: int = 0
    """Samples that go on behind their answer."""
    truncated: int = 0
    """Samples that were cut at the token limit before their solution was finished."""
    unparsed: int = 0
    """Whole samples without a readable answer."""
    solves_alone: int = 0
    """Questions that no other heuristic of the same arm has a right solution for."""
    mean_tokens: float | None = None
    by_chance: float | None = None
    """Right samples that accident would explain."""
    mean_arithmetic: float | None = None
    mean_adherence: float | None = None

    @property
    def correct_rate(self) -> float:
        """Share of samples with a right final answer."""
        return self.share(self.correct)

    def share(self, count: int) -> float:
        """`count` of all samples."""
        return count / self.samples if self.samples else 0.0


class StartRow(BaseModel):
    """The model that an RL training starts from, as a benchmark shows it, and what the training then met."""

    label: str
    """The trained model."""
    seed: int
    start: str
    """The model that it starts from."""
    benchmark: str
    group_size: int
    samples: int
    """Samples of each question of the benchmark."""
    solved: float
    """Share of questions that have a right sample."""
    expected: Metric
    """Share of groups of `group_size` that would have one reward, so that they teach nothing."""
    seldom: Metric
    """Share of questions so hard that a group more likely than not has no right rollout."""
    seen: float | None = None
    """Mean share of groups that taught nothing in the training, on its own questions."""
    likelihood: Metric | None = None
    """Likelihood of right solutions that it was not trained on, nats a token after the plain prompt; it is no share."""
    first_entropy: float | None = None
    """Entropy of the policy at the first step, nats a token."""
    last_entropy: float | None = None
