"""The recipe of self-generated mid-training."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from tasks.config import Frozen
from tasks.dataset.config import DatasetConfig
from tasks.filter.config import FilterConfig
from tasks.generate.config import GenerateConfig
from tasks.interpolate.config import InterpolateConfig
from tasks.midtrain.config import MidtrainConfig
from tasks.propose.config import ProposalConfig, ProposeConfig
from tasks.questions.config import QuestionsConfig
from tasks.recipe.base import ArmConfig, Recipe
from tasks.recipe.merging import closest


class ArmClaim(Frozen):
    """That an arm ends above another one after RL; the report says whether it does, in pass@1 on every benchmark."""

    text: str
    """The claim as a sentence without its full stop."""
    paper: str = ""
    """What a paper gives for both, in words; empty where it gives nothing."""


class PolyaArm(ArmConfig):
    """One way from the base model to an evaluated one."""

    midtrain: bool = True
    """Mid-train on self-generated solutions before RL."""
    above: dict[str, ArmClaim] = {}
    """Other arms that this one is claimed to end above."""

    @property
    def is_plain_rl(self) -> bool:
        """Whether it is the recipe's RL on the base model and nothing else."""
        return not (self.midtrain or self.overrides or self.compute_of)


class PolyaRecipe(Recipe):
    """Everything that self-generated mid-training (arXiv 2605.08472) does, from the base model to the report.

    Questions of RL are another, harder set than the seed questions in the paper.
    """

    SHARED: ClassVar[tuple[str, ...]] = ("proposals", *Recipe.SHARED)

    method: Literal["polya"] = "polya"
    questions: QuestionsConfig = QuestionsConfig()
    """Seed questions that the model writes solutions for."""
    proposals: ProposalConfig = ProposalConfig()
    """What the model proposes for each question, in place of heuristics."""
    propose: ProposeConfig = ProposeConfig()
    generate: GenerateConfig = GenerateConfig()
    filter: FilterConfig = FilterConfig()
    dataset: DatasetConfig = DatasetConfig()
    midtrain: MidtrainConfig = MidtrainConfig()
    interpolate: InterpolateConfig = InterpolateConfig()
    max_seldom_share: float | None = Field(None, ge=0, le=1)
    """Stop an arm before RL where, on each of its benchmarks, a larger share of the questions is so hard for the model
    that RL would start from that a group of rollouts more likely than not has no right one (`below p*` in the report).
    None never stops (ours)."""
    arms: dict[str, PolyaArm] = Field(
        default_factory=lambda: {
            "vanilla": PolyaArm(label="RL from base", midtrain=False),
            "polya": PolyaArm(label="RL from mid-trained"),
        }
    )

    @model_validator(mode="after")
    def _claims_are_about_arms_with_rl(self) -> Self:
        ends = [name for name, arm in self.arms.items() if arm.rl]
        for name, arm in self.arms.items():
            if arm.above and not arm.rl:
                raise ValueError(f"arms.{name}.above is about what RL ends in, which this arm has not; set rl: true")
            for other in arm.above:
                if other not in ends:
                    hint = " with RL at its end" if other in self.arms else closest(other, ends)
                    raise ValueError(f"arms.{name}.above: no arm {other!r}{hint}")
        return self

    @model_validator(mode="after")
    def _shows_what_is_proposed(self) -> Self:
        if self.proposals.kind != "none" and "{instruction}" not in self.prompt.heuristic_template:
            raise ValueError(
                f"proposals.kind={self.proposals.kind}: prompt.heuristic_template={self.prompt.heuristic_template!r} "
                "would show none of it; put {instruction} into it"
            )
        if self.proposals.kind != "none" and self.filter.scorer.type in ("judge", "reward_model"):
            raise ValueError(
                f"filter.scorer.type={self.filter.scorer.type} is told of heuristics from their files, and "
                f"proposals.kind={self.proposals.kind} has none; take likelihood_ratio, which reads the "
                "prompts, or none"
            )
        return self
