"""Cost of `questions`, and how many questions of what length later stages meet."""

from tasks.questions.config import QuestionsConfig
from tasks.questions.presets import SetSize, load_preset
from tasks.questions.sources import local_rows
from tasks.shared.costs.expected import Expected
from tasks.shared.costs.lengths import prompt_tokens, text_tokens
from tasks.shared.costs.machine import Machine, StageEstimate
from tasks.shared.models.config import ModelConfig
from tasks.shared.prompts.config import PromptConfig
from tasks.shared.prompts.under_heuristics import plain_text

QUESTION_BYTES = 250.0
TINY_SET = SetSize(rows={}, question_chars=67, solution_tokens=40)
UNKNOWN_SET = SetSize(rows={}, question_chars=250, solution_tokens=500)
"""Lengths assumed for sets of a user (ours)."""


def questions(machine: Machine, questions: QuestionsConfig) -> StageEstimate:
    """Cost of loading one set. Raises ValueError where its size is not known."""
    return machine.table(count(questions, "questions") * QUESTION_BYTES)


def count(config: QuestionsConfig, section: str) -> int:
    """Number of questions of a set, for which local files are counted.

    Raises ValueError for a set of unknown size without a limit.
    """
    if config.source == "tiny":
        held = config.tiny.count
    elif not (held := local_rows(config)):
        preset = load_preset(config.preset) if config.preset else None
        split = config.split or (preset.hub.split if preset and preset.hub else "train")
        held = preset.size.rows.get(split, 0) if preset and preset.size else 0
    first, end = config.part_bounds
    held = held * (end - first) // 100
    if not held and config.limit is None:
        raise ValueError(f"{section}: how many questions {config.source!r} holds is not known; set {section}.limit")
    return min(held or config.limit or 0, config.limit or held)


def set_size(config: QuestionsConfig) -> SetSize:
    """Mean lengths of a set's questions and solutions."""
    if config.source == "tiny":
        return TINY_SET
    return (load_preset(config.preset).size if config.preset else None) or UNKNOWN_SET


def mean_solution(config: QuestionsConfig, expected: Expected, most: int) -> float:
    """Mean tokens of a solution to a question of a set, of at most `most` tokens."""
    return min(expected.solution_tokens or set_size(config).solution_tokens, most)


def question_tokens(model: ModelConfig, config: QuestionsConfig) -> float:
    """Mean tokens of a question alone."""
    return text_tokens(model, set_size(config).question_chars)


def plain_tokens(model: ModelConfig, prompt: PromptConfig, config: QuestionsConfig) -> float:
    """Mean tokens of a plain prompt over a question set."""
    return prompt_tokens(model, prompt, len(plain_text(prompt, ""))) + question_tokens(model, config)
