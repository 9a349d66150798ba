"""Work that a recipe asks for: questions, rows and tokens, from lengths that presets state.

The most work is counted: every sample right and kept, nothing found to be a copy.
"""

import math
from dataclasses import dataclass

from tasks.generate.heuristics import Heuristic, load_heuristics
from tasks.questions.config import QuestionsConfig
from tasks.questions.presets import SetSize, load_preset
from tasks.recipe.base import Recipe
from tasks.recipe.polya import PolyaRecipe
from tasks.shared.models.resolve import SHIPPED
from tasks.shared.prompts.render import heuristic_text, plain_text

CHARS_PER_TOKEN = 3.6
"""Characters a token of mathematical English under vocabularies of 100,000 and more (ours, rough)."""
EMBEDDED_CHARS_PER_TOKEN = 2.9
"""Characters a token of the small world's problems under its own vocabulary of 640."""
CHAT_TOKENS = 40
"""Tokens that a chat template adds to a prompt (ours, rough)."""
TINY_SET = SetSize(rows={}, question_chars=67, solution_tokens=40)
UNKNOWN_SET = SetSize(rows={}, question_chars=250, solution_tokens=500)
"""Lengths assumed for sets of a user (ours)."""


@dataclass(frozen=True)
class Texts:
    """Completions of one kind, and the prompts before them."""

    count: float
    """Number of completions."""
    prompt: float
    """Mean tokens of a prompt."""
    completion: float
    """Mean tokens of a completion."""

    @property
    def tokens(self) -> float:
        """Completion tokens."""
        return self.count * self.completion

    @property
    def all_tokens(self) -> float:
        """Prompt and completion tokens, every prompt counted with each of its completions."""
        return self.count * (self.prompt + self.completion)


@dataclass(frozen=True)
class Workload:
    """All texts of a recipe with one arm's settings in place."""

    questions: int
    prompts: int
    """Number of RL questions."""
    generated: Texts
    read: float
    """Prompt tokens that generation reads: the shared part of a heuristic's prompt once, and a prompt once for all its
    samples, because engines keep the caches of both."""
    scored: Texts
    """Solutions that adherence is computed for; the shared part of their prompts is read once and not counted."""
    rows: int
    trained: Texts
    """Training examples, one for each row and epoch."""
    steps: int
    """Number of rollout batches."""
    rollouts: Texts
    evaluated: Texts


def workload(recipe: PolyaRecipe) -> Workload:
    """Counts of a recipe; `recipe.arm(name)` gives the recipe of an arm.

    Raises:
        ValueError: how many questions a set holds is not known.
    """
    seeds = recipe.questions
    questions = count(seeds, "questions")
    heuristics = load_heuristics(recipe.generate.heuristics)
    fixed = [tokens(recipe, len(heuristic_text(recipe.prompt, item, ""))) for item in heuristics]
    solution = min(_size(seeds).solution_tokens, recipe.generate.sampling.max_new_tokens)
    question = _question_tokens(recipe, seeds)
    named = sum(fixed) / len(fixed) + question
    samples = questions * len(heuristics) * recipe.generate.samples_per_heuristic
    plain = plain_tokens(recipe, seeds)
    rows = _rows(recipe, questions, heuristics)
    scorer = recipe.filter.scorer.type != "none"
    return Workload(
        questions=questions,
        prompts=rl_prompts(recipe),
        generated=Texts(samples, named, solution),
        read=sum(fixed) + questions * len(heuristics) * question,
        scored=Texts(samples if scorer else 0, question, solution),
        rows=rows,
        trained=Texts(rows * recipe.midtrain.epochs, plain, solution),
        steps=rl_steps(recipe),
        rollouts=rl_rollouts(recipe),
        evaluated=evaluated(recipe),
    )


def rl_prompts(recipe: Recipe) -> int:
    """Number of questions of RL."""
    prompts = count(recipe.rl_questions, "rl_questions")
    return min(prompts, recipe.rl_prompts.max_questions or prompts)


def rl_steps(recipe: Recipe) -> int:
    """Number of rollout batches of RL."""
    rl = recipe.rl
    return rl.steps or math.ceil(rl_prompts(recipe) * rl.epochs / rl.prompts_per_step)


def rl_rollouts(recipe: Recipe) -> Texts:
    """Completions of RL."""
    rl, asked = recipe.rl, recipe.rl_questions
    length = min(_size(asked).solution_tokens, rl.max_completion_tokens)
    return Texts(rl_steps(recipe) * rl.prompts_per_step * rl.group_size, plain_tokens(recipe, asked), length)


def count(config: QuestionsConfig, section: str) -> int:
    """Number of questions of a set. Raises ValueError for a set of unknown size without a limit."""
    if config.source == "tiny":
        held = config.tiny.count
    else:
        preset = load_preset(config.preset) if config.preset else None
        split = config.split or (preset.hub.split if preset and preset.hub else "train")
        held = preset.size.rows.get(split, 0) if preset and preset.size else 0
    if not held and config.limit is None:
        raise ValueError(f"{section}: how many questions {config.source!r} holds is not known; set {section}.limit")
    return min(held or config.limit or 0, config.limit or held)


def plain_tokens(recipe: Recipe, questions: QuestionsConfig) -> float:
    """Mean tokens of a plain prompt over a question set."""
    return tokens(recipe, len(plain_text(recipe.prompt, ""))) + _question_tokens(recipe, questions)


def _rows(recipe: PolyaRecipe, questions: int, heuristics: tuple[Heuristic, ...]) -> int:
    dataset = recipe.dataset
    used = [item for item in heuristics if not dataset.heuristics or item.name in dataset.heuristics]
    kept = min(recipe.filter.keep_per_heuristic, recipe.generate.samples_per_heuristic)
    asked = min(questions, dataset.max_questions or questions)
    rows = asked * min(dataset.variants, len(used) * kept)
    return min(rows, dataset.max_rows or rows)


def evaluated(recipe: Recipe) -> Texts:
    """Completions of all benchmarks for one model."""
    evaluation = recipe.evaluate
    sets = [evaluation.questions(name) for name in evaluation.benchmarks]
    draws = [count(item, "evaluation") * evaluation.draws for item in sets]
    total = sum(draws)
    lengths = [min(_size(item).solution_tokens, evaluation.sampling.max_new_tokens) for item in sets]
    return Texts(
        total,
        sum(draw * plain_tokens(recipe, item) for draw, item in zip(draws, sets, strict=True)) / total,
        sum(draw * length for draw, length in zip(draws, lengths, strict=True)) / total,
    )


def _size(config: QuestionsConfig) -> SetSize:
    if config.source == "tiny":
        return TINY_SET
    return (load_preset(config.preset).size if config.preset else None) or UNKNOWN_SET


def tokens(recipe: Recipe, chars: float) -> float:
    """Tokens of fixed text of a prompt, with what its style adds."""
    added = 0 if recipe.prompt.style == "plain" else CHAT_TOKENS
    return chars / _ratio(recipe) + added


def _question_tokens(recipe: Recipe, config: QuestionsConfig) -> float:
    return _size(config).question_chars / _ratio(recipe)


def _ratio(recipe: Recipe) -> float:
    return EMBEDDED_CHARS_PER_TOKEN if recipe.model.source in SHIPPED else CHARS_PER_TOKEN
