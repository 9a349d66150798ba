"""Settings of the search for benchmark questions among those that are trained on."""

from typing import ClassVar

from pydantic import Field

from tasks.config import StageConfig


class DecontaminateConfig(StageConfig):
    """Overlap of training questions with the benchmarks of the recipe, and what becomes of it. Defaults are ours."""

    STAGE: ClassVar[str] = "decontaminate"

    ngram_words: int = Field(13, ge=3)
    """Length of a shared run of words that flags a question; 13 as in GPT-3 (arXiv 2005.14165, appendix C)."""
    exclude: bool = True
    """Leave flagged questions out (they are listed as rejects); otherwise only report them."""
