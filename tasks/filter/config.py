"""The settings that decide which samples are kept."""

from collections.abc import Iterable
from typing import Any, ClassVar, Literal

from pydantic import Field

from tasks.config import StageConfig
from tasks.filter.adherence.config import JudgeScorer, LikelihoodRatioScorer, RewardModelScorer, ScorerConfig
from tasks.generate.heuristics import Heuristic
from tasks.shared.verification.config import VerificationConfig, verifier_identity


class FilterConfig(StageConfig):
    """Correctness by verifier, adherence by scorer, the best ones per (question, heuristic)."""

    STAGE: ClassVar[str] = "filter"

    verification: VerificationConfig = VerificationConfig()
    scorer: ScorerConfig = LikelihoodRatioScorer()
    """`likelihood_ratio`, `reward_model`, `judge` or `none`, each with settings of its own."""
    min_adherence: float | None = None
    """Correct solutions that score lower are dropped; None drops none (ours: the paper only takes the best)."""
    min_arithmetic: float | None = Field(None, ge=0, le=1)
    """Correct solutions of whose equations, recomputed, a smaller share holds are dropped; one in which nothing can be
    checked is not. None drops none (ours)."""
    evidence: Literal["none", "agreement", "unlikely", "either"] = "none"
    """What a (question, heuristic) pair has to show so that its right solutions are kept, against answers that are
    right by accident. `agreement`: `min_agreement` right candidates, or at least two that are the majority of the
    candidates with an answer. `unlikely`: a gold answer that the wrong candidates of other questions give with a chance
    below `max_chance`. `either`: one of the two. `none` keeps all (ours: the paper only takes right ones)."""
    min_agreement: int = Field(2, ge=2)
    """Right candidates of a pair that agree enough, whatever the others say (ours)."""
    max_chance: float = Field(0.01, gt=0, le=1)
    """Chance of being right by accident from which on a gold answer is likely (ours)."""
    keep_per_heuristic: int = Field(1, ge=1)
    """Correct solutions kept per (question, heuristic); the paper keeps one."""
    score_wrong: bool = False
    """Score wrong solutions too, so that the wrong-answer ablation also takes the best of them; costs their scoring."""

    def identity_payload(self) -> dict[str, Any]:
        """Fields as hashed, with the verifier's version: another verifier may give other verdicts."""
        return {**super().identity_payload(), "verifier": verifier_identity()}

    def following(self, heuristics: Iterable[Heuristic]) -> "FilterConfig":
        """The settings with what the scorer is told of the heuristics of the solutions."""
        if not isinstance(self.scorer, RewardModelScorer | JudgeScorer):
            return self
        return self.model_copy(update={"scorer": self.scorer.following(heuristics)})
