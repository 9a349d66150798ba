"""What decides the text that generation makes."""

from typing import Any, ClassVar

from pydantic import Field

from tasks.config import RecipeSeed, StageConfig
from tasks.generate.heuristics import load_heuristics
from tasks.shared.engines.protocol import Sampling
from tasks.shared.prompts.config import PromptConfig


class GenerateConfig(StageConfig):
    """Candidates of every question under every heuristic (arXiv 2605.08472; the counts and settings are ours)."""

    STAGE: ClassVar[str] = "generate"

    heuristics: str = "polya16"
    """A shipped set (`polya16`, `tiny`, `plain` = the STaR control without heuristics) or a folder of YAML files."""
    samples_per_heuristic: int = Field(4, ge=1)
    """Candidates per (question, heuristic)."""
    sampling: Sampling = Sampling()
    prompt: PromptConfig = PromptConfig()
    seed: RecipeSeed = 0
    """Another seed gives other candidates; the stored text of this one is never replaced."""

    def identity_payload(self) -> dict[str, Any]:
        """Fields as hashed: heuristics by what is in them, so that neither a path nor a file name counts."""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return {**fields, "heuristics": {item.name: item.digest for item in load_heuristics(self.heuristics)}}
