"""Cost of `generate`: the most work, every question under every heuristic; an early stop spares some of it."""

from tasks.generate.config import GenerateConfig
from tasks.questions.config import QuestionsConfig
from tasks.questions.estimate import count, mean_solution, question_tokens
from tasks.shared.costs.expected import Expected
from tasks.shared.costs.lengths import Texts, prompt_tokens
from tasks.shared.costs.machine import STORED_PER_TOKEN, Machine, StageEstimate
from tasks.shared.models.config import ModelConfig
from tasks.shared.prompts.config import PromptConfig
from tasks.shared.prompts.under_heuristics import heuristic_text


def generate(
    machine: Machine,
    generate: GenerateConfig,
    questions: QuestionsConfig,
    prompt: PromptConfig,
    expected: Expected,
) -> StageEstimate:
    """Cost of all samples; ready ones are only read.

    The shared part of a heuristic's prompt is read once, and a prompt once for all its samples, because engines keep
    the caches of both.
    """
    machine = written_by(machine, generate)
    samples = generated(machine.model, generate, questions, prompt, expected)
    if generate.solutions:
        return machine.table(samples.all_tokens * STORED_PER_TOKEN)
    fixed = _fixed_tokens(machine.model, generate, prompt)
    asked = count(questions, "questions") * len(fixed)
    read = sum(fixed) + asked * question_tokens(machine.model, questions)
    return machine.made(
        machine.device.forward_s(machine.facts, read) + machine.decoding_s(samples),
        tokens=samples.tokens,
        what="generated",
        flops=2 * machine.facts.active * (read + samples.tokens),
        disk_bytes=samples.tokens * STORED_PER_TOKEN,
    )


def written_by(machine: Machine, generate: GenerateConfig) -> Machine:
    """The machine with the model that writes the solutions."""
    return Machine(generate.model, machine.runtime, machine.device) if generate.model else machine


def generated(
    model: ModelConfig,
    generate: GenerateConfig,
    questions: QuestionsConfig,
    prompt: PromptConfig,
    expected: Expected,
) -> Texts:
    """All samples, with the mean prompt of a heuristic."""
    fixed = _fixed_tokens(model, generate, prompt)
    solution = mean_solution(questions, expected, generate.sampling.max_new_tokens)
    samples = count(questions, "questions") * len(fixed) * generate.most_per_heuristic
    return Texts(samples, sum(fixed) / len(fixed) + question_tokens(model, questions), solution)


def _fixed_tokens(model: ModelConfig, generate: GenerateConfig, prompt: PromptConfig) -> list[float]:
    """Tokens of each heuristic's prompt without a question."""
    return [prompt_tokens(model, prompt, len(heuristic_text(prompt, item, ""))) for item in generate.answered()]
