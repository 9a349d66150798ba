"""Settings of the search for benchmark questions among all that is trained on."""

from typing import ClassVar

from pydantic import Field

from tasks.config import StageConfig


class DecontaminateConfig(StageConfig):
    """Overlap of training questions and documents with the benchmarks of the recipe, and of training documents with
    held-out ones, and what becomes of it. Defaults are ours.
    """

    STAGE: ClassVar[str] = "decontaminate"

    ngram_words: int = Field(13, ge=3)
    """Length of a shared run of words that flags a question or a document; 13 as in GPT-3 (arXiv 2005.14165, appendix
    C)."""
    exclude: bool = True
    """Leave flagged questions and documents out (they are listed as rejects); otherwise only report them."""
