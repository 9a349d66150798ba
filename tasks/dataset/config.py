"""Settings of the stages that write the training sets."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tasks.config import ADDED, RecipeSeed, StageConfig
from tasks.shared.prompts.config import PromptConfig


class DatasetConfig(StageConfig):
    """Selection of kept solutions for the mid-training set (arXiv 2605.08472: n variants per question, n from 1 to 64).

    Sets are nested (ours): with the same seed, the set for a smaller `variants`, `max_questions`, `max_rows` or
    `max_tokens` is part of the set for a larger one, so that sweeps differ in size alone.
    """

    STAGE: ClassVar[str] = "dataset"

    variants: int = Field(4, ge=1, le=64)
    """Solutions per question at most. The paper finds n near the RL group size best, and uses 16 (4: ours)."""
    selection: Literal["diverse", "adherence"] = "diverse"
    """Order of a question's heuristics: `diverse` draws it by seed and question, so that every heuristic is as likely
    to come first; `adherence` takes the best followed first. Both take one solution of each before a second (ours)."""
    heuristics: tuple[str, ...] = ()
    """Names of the only heuristics to take; `""` names the plain prompt. Empty takes all."""
    verdict: Literal["correct", "wrong"] = "correct"
    """`wrong` trains on solutions with wrong final answers: the paper's ablation."""
    near_duplicate: float = Field(0.9, gt=0, le=1)
    """Share of common words (Jaccard index of word sets) from which a question's second solution counts as a copy of an
    earlier one and is left out; equal text always is (ours)."""
    full_only: bool = False
    """Take only questions that have all `variants`: exact depth for the breadth-against-depth ablation."""
    max_questions: int | None = Field(None, ge=1)
    """Questions at most."""
    max_rows: int | None = Field(None, ge=1)
    """Rows at most, drawn over all questions: makes arms equal in size."""
    max_tokens: Annotated[int | None, ADDED] = Field(None, ge=1)
    """Tokens of solutions at most, in whole rows and in the order that `max_rows` draws: makes arms equal in what is
    learned from, where the solutions of one are longer (ours)."""
    min_rows: int = Field(1, ge=1)
    """Fewer rows than this stop the run before training: a handful of lucky guesses is no dataset (ours)."""
    seed: RecipeSeed = 0
    """Seed of every draw above."""
    prompt: PromptConfig = PromptConfig()
    """The plain prompt that stands before every solution, whatever heuristic wrote it: one prefix, several
    continuations (ours, implied by the paper's theory)."""
    embedding: str = ""
    """Model of sentence-transformers, a name or a folder, whose embeddings say how alike solutions are; needs the extra
    `diversity`. Empty takes word n-grams (ours)."""
    licence: str = "unknown"
    """Licence identifier on the dataset card, e.g. `mit`; depends on the questions and on the model that wrote."""


class PromptSetConfig(StageConfig):
    """Selection of questions for the RL set. The paper uses DAPO-Math-17K, harder than the mid-training questions."""

    STAGE: ClassVar[str] = "rl_prompts"

    max_questions: int | None = Field(None, ge=1)
    """Questions at most; a smaller set is part of a larger one."""
    seed: RecipeSeed = 0
    """Seed of that draw."""
    prompt: PromptConfig = PromptConfig()
    """The plain prompt; the same as in mid-training and evaluation."""
    licence: str = "unknown"
    """Licence identifier on the dataset card."""
