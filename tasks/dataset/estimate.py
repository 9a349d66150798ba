"""Costs of `dataset` and `rl_prompts`: every right sample kept, nothing found to be a copy."""

import math

from tasks.dataset.config import DatasetConfig, PromptSetConfig
from tasks.filter.config import FilterConfig
from tasks.generate.config import GenerateConfig
from tasks.questions.config import QuestionsConfig
from tasks.questions.estimate import QUESTION_BYTES, count, mean_solution, plain_tokens
from tasks.shared.costs.expected import Expected
from tasks.shared.costs.lengths import Texts
from tasks.shared.costs.machine import STORED_PER_TOKEN, Machine, StageEstimate
from tasks.shared.models.config import ModelConfig
from tasks.shared.prompts.config import PromptConfig


def dataset(
    machine: Machine,
    dataset: DatasetConfig,
    filter: FilterConfig,
    generate: GenerateConfig,
    questions: QuestionsConfig,
    prompt: PromptConfig,
    expected: Expected,
) -> StageEstimate:
    """Cost of writing the training rows."""
    rows = training_examples(machine.model, dataset, filter, generate, questions, prompt, expected)
    return machine.table(rows.all_tokens * STORED_PER_TOKEN)


def rl_prompts(machine: Machine, rl_prompts: PromptSetConfig, rl_questions: QuestionsConfig) -> StageEstimate:
    """Cost of writing the questions of RL."""
    return machine.table(prompt_count(rl_prompts, rl_questions) * QUESTION_BYTES)


def prompt_count(rl_prompts: PromptSetConfig, rl_questions: QuestionsConfig) -> int:
    """Number of questions of RL."""
    held = count(rl_questions, "rl_questions")
    return min(held, rl_prompts.max_questions or held)


def training_rows(
    dataset: DatasetConfig,
    filter: FilterConfig,
    generate: GenerateConfig,
    questions: QuestionsConfig,
    expected: Expected,
) -> int:
    """The most rows that a dataset can have, or the right samples where those are fewer."""
    used = [item for item in generate.answered() if not dataset.heuristics or item.name in dataset.heuristics]
    kept = min(filter.keep_per_heuristic, generate.most_per_heuristic)
    held = count(questions, "questions")
    asked = min(held, dataset.max_questions or held)
    right = math.ceil(asked * len(used) * generate.most_per_heuristic * expected.right_share)
    rows = min(asked * min(dataset.variants, len(used) * kept), right)
    return min(rows, dataset.max_rows or rows)


def training_examples(
    model: ModelConfig,
    dataset: DatasetConfig,
    filter: FilterConfig,
    generate: GenerateConfig,
    questions: QuestionsConfig,
    prompt: PromptConfig,
    expected: Expected,
) -> Texts:
    """Rows as training examples: the plain prompt and the solution."""
    rows = training_rows(dataset, filter, generate, questions, expected)
    solution = mean_solution(questions, expected, generate.sampling.max_new_tokens)
    if dataset.max_tokens is not None:
        rows = min(rows, int(dataset.max_tokens / solution))
    return Texts(rows, plain_tokens(model, prompt, questions), solution)
