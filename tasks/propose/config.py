"""What the model proposes for each question: shared by the stages `propose` and `generate`; the former's identity."""

from typing import ClassVar, Literal

from pydantic import Field, field_validator

from tasks.config import Frozen, RecipeSeed, StageConfig
from tasks.shared.engines.protocol import Sampling
from tasks.shared.prompts.config import PromptConfig
from tasks.shared.verification.config import VerificationConfig

Kind = Literal["none", "approaches", "paraphrases"]


class ProposalConfig(Frozen):
    """What stands in the place of heuristics. Approaches that the model lists itself are those of arXiv 2310.07088; the
    rest and all wording are ours."""

    kind: Kind = "none"
    """`none`: heuristics (paper). `approaches`: the model lists ways to solve a question, and solves it by each: no
    list of heuristics was needed if that does as well. `paraphrases`: it rewords one right solution, so that rows are
    as many as under heuristics and differ on the surface alone; how many is `generate.samples_per_heuristic`."""
    count: int = Field(16, ge=1)
    """Approaches of a question at most."""

    @property
    def names(self) -> tuple[str, ...]:
        """What a question's proposals are called, in place of heuristics' names."""
        if self.kind == "approaches":
            return tuple(f"approach {number:02d}" for number in range(1, self.count + 1))
        return ("paraphrase",) if self.kind == "paraphrases" else ()


class ProposeConfig(StageConfig):
    """What the model is asked, and how it answers. All ours."""

    STAGE: ClassVar[str] = "propose"

    proposals: ProposalConfig = ProposalConfig()
    prompt: PromptConfig = PromptConfig()
    verification: VerificationConfig = VerificationConfig()
    """Rules by which the solution that is reworded is right."""
    list_template: str = (
        "List {count} different approaches to the problem, numbered 1. to {count}., one on each line. Describe each in "
        "one sentence, and do not carry it out.\n\nProblem: {question}"
    )
    """Prompt for the approaches. Placeholders: count, question."""
    paraphrase_template: str = (
        "Write this solution again in other words, with the same steps and the same answer:\n\n{solution}\n"
    )
    """Instruction for the paraphrases, where the prompt has a heuristic's. Placeholder: solution."""
    attempts: int = Field(4, ge=1)
    """Solutions under the plain prompt among which one that is right is looked for, to be reworded."""
    temperature: float = Field(1.0, ge=0, le=2)
    """Temperature of lists and of these solutions."""
    max_new_tokens: int = Field(1024, ge=1)
    """Longest list or solution."""
    seed: RecipeSeed = 0
    """Seed of their draws."""

    @field_validator("list_template")
    @classmethod
    def _asks_of_a_question(cls, value: str) -> str:
        if value.count("{question}") != 1:
            raise ValueError(f"{value!r} must contain {{question}} exactly once")
        return value

    @property
    def draws(self) -> Sampling:
        """How lists and solutions are drawn."""
        return Sampling(temperature=self.temperature, max_new_tokens=self.max_new_tokens)
