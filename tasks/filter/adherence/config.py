"""The scorers to choose from, and the job of the worker that runs one of them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field

from tasks.config import NOT_HASHED, Frozen
from tasks.errors import Permanent
from tasks.generate.heuristics import Heuristic
from tasks.shared.engines.prompt_form import PromptForm
from tasks.shared.models.config import ModelConfig
from tasks.spine.stage.gpus import WHOLE, Part
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


class LikelihoodScorer(Frozen):
    """log p(completion | plain prompt) / tokens: no adherence, but how far a model is from writing a given text."""

    type: Literal["likelihood"] = "likelihood"


class _Informed(Frozen):
    """A scorer that is told in words what a heuristic is."""

    followed: tuple[Heuristic, ...] = ()
    """The heuristics of the solutions; `following` fills them in."""

    def following(self, heuristics: Iterable[Heuristic]) -> Self:
        """The scorer with what it is told of these heuristics."""
        return self.model_copy(update={"followed": tuple(self._told(item) for item in heuristics if item.name)})

    def heuristic(self, name: str) -> Heuristic:
        """The heuristic of that name.

        Raises:
            Permanent: the scorer was not told of it.
        """
        for item in self.followed:
            if item.name == name:
                return item
        raise Permanent(
            f"solutions were written under {name!r}, of which the scorer knows nothing: generate.heuristics has "
            f"{', '.join(repr(item.name) for item in self.followed) or 'none'}; set it to what the samples were made "
            "with"
        )

    def _told(self, heuristic: Heuristic) -> Heuristic:
        return Heuristic(name=heuristic.name, instruction=heuristic.instruction)


class RewardModelScorer(_Informed):
    """The score that a reward model gives to a conversation: the question with the heuristic, then the solution.

    The paper (arXiv 2605.08472) takes one of the Skywork family; what it is shown is not published, so that is ours.
    """

    type: Literal["reward_model"] = "reward_model"
    model: Annotated[ModelConfig, NOT_HASHED]
    """A sequence classifier with one label and a chat template, such as `Skywork/Skywork-Reward-V2-Llama-3.2-3B`."""
    message_template: str = "{question}\n\nSolve this problem with the heuristic “{name}”. {instruction}"
    """The user's turn. Placeholders: question, name, instruction."""


class JudgeScorer(_Informed):
    """A score from 0 to 1 that a model behind `runtime.openai_base_url` gives by the rubric of the heuristic. Ours.

    Answers are kept in the sample pool, so that each solution is paid for once.
    """

    type: Literal["judge"] = "judge"
    judge: str = Field(min_length=1)
    """Name under which the server serves the judge; its answers are known by it, as its weights cannot be seen."""
    template: str = (
        "Below are a problem, a method, and a solution by somebody who was asked to use the method. Judge how well the "
        "solution uses the method. Whether its answer is right does not matter.\n\n"
        "Problem:\n{question}\n\nMethod: {name}. {instruction}\n\nRubric:\n{rubric}\n\nSolution:\n{solution}\n\n"
        "Answer in JSON: first your reason in one or two sentences, then a score from 0 (the method plays no part) to "
        "1 (the method carries the solution)."
    )
    """What the judge is asked. Placeholders: question, name, instruction, rubric, solution."""
    max_new_tokens: int = Field(512, ge=1)
    """Longest answer of the judge."""
    max_unread_share: float = Field(0.05, ge=0, le=1)
    """The stage fails when a larger share of the judge's answers holds no score."""

    def _told(self, heuristic: Heuristic) -> Heuristic:
        return super()._told(heuristic).model_copy(update={"rubric": heuristic.rubric_text})


ScorerConfig = Annotated[
    NoScorer | LikelihoodRatioScorer | RewardModelScorer | JudgeScorer, Field(discriminator="type")
]

LocalScorer = LikelihoodRatioScorer | LikelihoodScorer | RewardModelScorer
"""Scorers whose model is loaded here."""

CHUNK_REQUESTS = 1_024
"""Completions that one worker scores before it writes: the most that a kill can lose."""


class ScoringJob(Frozen):
    """Scores for a table of completions, or for every `part.of`-th chunk of it."""

    scorer: LocalScorer
    model: Path
    """Folder of the model that scores: the one that wrote the completions, or the reward model."""
    requests: Path
    """Parquet file of schema `TO_SCORE`."""
    scores: Path
    """Folder of Parquet files of schema `SCORES`; requests that have a score there are skipped."""
    form: PromptForm = PromptForm()
    """How the prompts were made."""
    part: Part = WHOLE
    """Chunks of the table that are scored."""
    runtime: Runtime
