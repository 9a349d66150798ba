"""What decides the text that generation makes."""

from typing import Any, ClassVar

from pydantic import Field

from tasks.config import RecipeSeed, StageConfig
from tasks.generate.heuristics import load_heuristics
from tasks.shared.engines.protocol import Sampling
from tasks.shared.models.config import ModelConfig
from tasks.shared.prompts.config import PromptConfig


class GenerateConfig(StageConfig):
    """Candidates of every question under every heuristic (arXiv 2605.08472; the counts and settings are ours)."""

    STAGE: ClassVar[str] = "generate"

    model: ModelConfig | None = None
    """A teacher that writes the solutions, and scores how well they follow their heuristic: the paper's distilled arm.
    None: the base model writes them itself, which is the method."""
    heuristics: str = "polya16"
    """A shipped set (`polya16`, `tiny`, `plain` = the STaR control without heuristics) or a folder of YAML files."""
    samples_per_heuristic: int = Field(4, ge=1)
    """Candidates per (question, heuristic)."""
    sampling: Sampling = Sampling()
    prompt: PromptConfig = PromptConfig()
    seed: RecipeSeed = 0
    """Another seed gives other candidates; the stored text of this one is never replaced."""

    def identity_payload(self) -> dict[str, Any]:
        """Fields as hashed: heuristics by what is in them, so that neither a path nor a file name counts.

        Which model writes, the stage's parents say.
        """
        fields = {name: getattr(self, name) for name in type(self).model_fields if name != "model"}
        return {**fields, "heuristics": {item.name: item.digest for item in load_heuristics(self.heuristics)}}
