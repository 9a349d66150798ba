"""Cost of `evaluate` for one model."""

from dataclasses import replace

from tasks.evaluate.config import EvaluateConfig
from tasks.questions.estimate import count, mean_solution, plain_tokens
from tasks.shared.costs.expected import Expected
from tasks.shared.costs.lengths import Texts
from tasks.shared.costs.machine import Machine, StageEstimate


def evaluate(machine: Machine, evaluate: EvaluateConfig, expected: Expected) -> StageEstimate:
    """Cost of the completions of all benchmarks, and of the reward model that reads them.

    Reading `evaluate.solutions`, whose number only their artifact knows, is not counted: it is one pass.
    """
    sets = [evaluate.questions(name) for name in evaluate.benchmarks]
    draws = [count(item, "evaluation") * evaluate.draws for item in sets]
    total = sum(draws)
    prompts = [plain_tokens(machine.model, evaluate.shown_prompt, item) for item in sets]
    lengths = [mean_solution(item, expected, evaluate.sampling.max_new_tokens) for item in sets]
    texts = Texts(
        total,
        sum(draw * tokens for draw, tokens in zip(draws, prompts, strict=True)) / total,
        sum(draw * length for draw, length in zip(draws, lengths, strict=True)) / total,
    )
    sampled = machine.sampled(texts, evaluate.draws)
    if evaluate.reward_model is None:
        return sampled
    # Read once more by another model: the greedy completions alone are not.
    reader = Machine(evaluate.reward_model.model, machine.runtime, machine.device)
    read = reader.read(texts.all_tokens * evaluate.samples / evaluate.draws, "scored")
    return replace(sampled, hours=sampled.hours + read.hours, flops=sampled.flops + read.flops)
