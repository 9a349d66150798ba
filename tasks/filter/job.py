"""What the scoring worker is asked for; the parent writes it, the child reads it."""

from pathlib import Path

from tasks.config import Frozen
from tasks.filter.config import LikelihoodRatioScorer
from tasks.spine.store.runtime import Runtime


class ScoringJob(Frozen):
    """Scores for a table of completions."""

    scorer: LikelihoodRatioScorer
    model: Path
    """Folder of the model that wrote the completions."""
    requests: Path
    """Parquet file of schema `TO_SCORE`."""
    scores: Path
    """Folder of Parquet files of schema `SCORES`; requests that have a score there are skipped."""
    runtime: Runtime
