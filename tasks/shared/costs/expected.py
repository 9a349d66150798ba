"""What estimates take for granted of samples that nobody has drawn yet."""

from pydantic import Field

from tasks.config import Frozen


class Expected(Frozen):
    """Part of no identity, though `compute_of` of an arm counts with it. The defaults count the most work: a model that
    is seldom right costs less."""

    right_share: float = Field(1.0, ge=0, le=1)
    """Share of samples that are right: what is scored, kept and trained on, and how many groups of rollouts have an
    advantage (ours: all samples, and all groups)."""
    solution_tokens: float = Field(0, ge=0)
    """Mean tokens of a solution; 0 takes what is known of the question set (ours)."""

    def live_share(self, group_size: int) -> float:
        """Share of groups in which some rollouts are right and some are not, each being right by itself."""
        right = self.right_share
        return 1 - right**group_size - (1 - right) ** group_size if right < 1 else 1.0
