"""The settings that decide which samples are kept, and the job of the scoring worker."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from tasks.config import Frozen, StageConfig
from tasks.shared.engines.prompt_form import PromptForm
from tasks.shared.sampling.wanted import WHOLE, Part
from tasks.shared.verification.config import VerificationConfig, verifier_identity
from tasks.spine.store.runtime import Runtime


class NoScorer(Frozen):
    """No adherence score: the first correct candidate by index is kept."""

    type: Literal["none"] = "none"


class LikelihoodRatioScorer(Frozen):
    """(log p(completion | heuristic prompt) - log p(completion | plain prompt)) / tokens, by the generating model.

    Above zero: the heuristic in the prompt made the text likelier, so the text follows it. Needs no second model. The
    paper (arXiv 2605.08472) scores with a reward model of the Skywork family; this scorer is ours.
    """

    type: Literal["likelihood_ratio"] = "likelihood_ratio"


ScorerConfig = Annotated[NoScorer | LikelihoodRatioScorer, Field(discriminator="type")]


class FilterConfig(StageConfig):
    """Correctness by verifier, adherence by scorer, the best ones per (question, heuristic)."""

    STAGE: ClassVar[str] = "filter"

    verification: VerificationConfig = VerificationConfig()
    scorer: ScorerConfig = LikelihoodRatioScorer()
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
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return {**fields, "verifier": verifier_identity()}


CHUNK_REQUESTS = 1_024
"""Completions that one worker scores before it writes: the most that a kill can lose."""


class ScoringJob(Frozen):
    """Scores for a table of completions, or for every `part.of`-th chunk of it."""

    scorer: LikelihoodRatioScorer
    model: Path
    """Folder of the model that wrote the completions."""
    requests: Path
    """Parquet file of schema `TO_SCORE`."""
    scores: Path
    """Folder of Parquet files of schema `SCORES`; requests that have a score there are skipped."""
    form: PromptForm = PromptForm()
    """How the prompts were made."""
    part: Part = WHOLE
    """Chunks of the table that are scored."""
    runtime: Runtime
