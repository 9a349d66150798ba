"""What decides the text that generation makes."""

from typing import Annotated, Any, ClassVar

from pydantic import Field, field_validator, model_validator

from tasks.config import ADDED, NOT_HASHED, Frozen, RecipeSeed, StageConfig
from tasks.generate.heuristics import Heuristic, load_heuristics
from tasks.propose.config import ProposalConfig
from tasks.questions.config import Format
from tasks.shared.engines.protocol import Sampling
from tasks.shared.models.config import ModelConfig
from tasks.shared.prompts.config import PromptConfig
from tasks.shared.sources.paths import checked_spec
from tasks.shared.verification.config import VerificationConfig


class ReadySolutions(Frozen):
    """Solutions that exist already, such as an open set of traces: they are read, and none is generated.

    Defaults are ours. Identity is the content of the source, never its place.
    """

    source: Annotated[str, NOT_HASHED]
    """A Hugging Face dataset id `org/name`, a local file, folder or glob, or any fsspec address."""
    question: str = "question"
    """Path (`a.b[0]`) or template of the question; but for white space it has to be one of the stage `questions`."""
    solution: str = "solution"
    """Path or template of the solution's whole text, its answer at the end."""
    format: Annotated[Format, NOT_HASHED] = "auto"
    """File format; `auto` goes by the ending (`.jsonl`, `.json`, `.csv`, `.tsv`, `.parquet`). Gzip is recognised by
    itself."""
    revision: Annotated[str, NOT_HASHED] = ""
    """Hub only: branch, tag or commit; it is resolved to a commit."""
    subset: Annotated[str, NOT_HASHED] = ""
    """Hub only: configuration name."""
    split: Annotated[str, NOT_HASHED] = ""
    """Split of a dataset of the hub (empty takes `train`), or of a folder whose files' names tell splits."""
    max_per_question: int = Field(4, ge=1)
    """Different solutions of a question that are taken, the first ones as they stand; the others are counted."""
    max_solution_chars: int = Field(100_000, ge=1)
    """Longer solutions are rejected, never cut."""
    max_rejected_share: float = Field(0.2, ge=0, le=1)
    """The stage fails when it rejects a larger share of the rows."""
    source_digest: str = ""
    """Digest of the source's content; `tasks.generate.ready.resolve` fills it in."""

    @field_validator("question", "solution")
    @classmethod
    def _names_a_field(cls, value: str) -> str:
        return checked_spec(value)

    def identity_payload(self) -> dict[str, Any]:
        """Fields as hashed. Raises ValueError before `tasks.generate.ready.resolve` has filled in the digest."""
        if not self.source_digest:
            raise ValueError("the source was not looked at yet; call tasks.generate.ready.resolve(config) first")
        return super().identity_payload()


class EarlyStop(Frozen):
    """When no more candidates of a (question, heuristic) are drawn. Counts are ours."""

    right: int = Field(1, ge=1)
    """Right, whole candidates that are enough, whatever their adherence. More of them leave `filter` more to choose
    from: at least `filter.keep_per_heuristic`, and `filter.min_agreement` where agreement is asked for."""
    round_samples: int = Field(1, ge=1)
    """Candidates of each pair between two looks at the answers, during which the engine waits."""


class GenerateConfig(StageConfig):
    """Candidates of every question under every heuristic (arXiv 2605.08472; the counts and settings are ours)."""

    STAGE: ClassVar[str] = "generate"

    model: Annotated[ModelConfig | None, NOT_HASHED] = None
    """A teacher that writes the solutions, and scores how well they follow their heuristic: the paper's distilled arm.
    None: the base model writes them itself, which is the method."""
    solutions: Annotated[ReadySolutions | None, NOT_HASHED] = None
    """Solutions from elsewhere, which take the place of generated ones under the plain prompt; the settings of
    heuristics and sampling then have no effect."""
    proposals: Annotated[ProposalConfig, NOT_HASHED] = ProposalConfig()
    """What stands in the place of heuristics, where the model proposes it: the parent `proposals` has the texts."""
    heuristics: Annotated[str, NOT_HASHED] = "polya16"
    """A shipped set (`polya16`, `tiny`, `plain` = the STaR control without heuristics) or a folder of YAML files."""
    samples_per_heuristic: int = Field(4, ge=1)
    """Candidates per (question, heuristic)."""
    early_stop: Annotated[EarlyStop | None, ADDED] = None
    """Draw in rounds, and no more for a pair with enough right candidates; None draws all (ours)."""
    verification: Annotated[VerificationConfig, NOT_HASHED] = VerificationConfig()
    """Rules by which `early_stop` knows right candidates."""
    sampling: Sampling = Sampling()
    prompt: PromptConfig = PromptConfig()
    seed: RecipeSeed = 0
    """Another seed gives other candidates; the stored text of this one is never replaced."""

    @model_validator(mode="after")
    def _has_one_writer(self) -> "GenerateConfig":
        if self.model and self.solutions:
            raise ValueError(
                f"model.source={self.model.source!r} would write what solutions.source={self.solutions.source!r} has "
                "already; give generate.model or generate.solutions, not both"
            )
        if self.solutions and self.proposals.kind != "none":
            raise ValueError(
                f"proposals.kind={self.proposals.kind!r} has no effect on solutions.source={self.solutions.source!r}, "
                "which are there already; give proposals or generate.solutions, not both"
            )
        return self

    def answered(self) -> tuple[Heuristic, ...]:
        """The heuristics under which there are solutions, or what stands in their place, its texts left out; ready ones
        stand under the plain prompt."""
        if self.proposals.kind != "none":
            return tuple(Heuristic(name=name) for name in self.proposals.names)
        return load_heuristics("plain" if self.solutions else self.heuristics)

    @property
    def most_per_heuristic(self) -> int:
        """The most solutions of a question under one heuristic."""
        return self.solutions.max_per_question if self.solutions else self.samples_per_heuristic

    def identity_payload(self) -> dict[str, Any]:
        """Fields as hashed: heuristics by what is in them, so that neither a path nor a file name counts.

        Which model writes and what it proposed, the stage's parents say. Of ready solutions only they and the prompt
        count.
        """
        if self.solutions:
            return {"solutions": self.solutions.identity_payload(), "prompt": self.prompt}
        fields = super().identity_payload() | ({"verification": self.verification} if self.early_stop else {})
        if self.proposals.kind != "none":
            return fields
        return {**fields, "heuristics": {item.name: item.digest for item in load_heuristics(self.heuristics)}}
