"""Cost of `evaluate` for one model."""

from tasks.evaluate.config import EvaluateConfig
from tasks.questions.estimate import count, plain_tokens, set_size
from tasks.shared.costs.lengths import Texts
from tasks.shared.costs.machine import Machine, StageEstimate
from tasks.shared.prompts.config import PromptConfig


def evaluate(machine: Machine, evaluate: EvaluateConfig, prompt: PromptConfig) -> StageEstimate:
    """Cost of the completions of all benchmarks."""
    sets = [evaluate.questions(name) for name in evaluate.benchmarks]
    draws = [count(item, "evaluation") * evaluate.draws for item in sets]
    total = sum(draws)
    prompts = [plain_tokens(machine.model, prompt, item) for item in sets]
    lengths = [min(set_size(item).solution_tokens, evaluate.sampling.max_new_tokens) for item in sets]
    texts = Texts(
        total,
        sum(draw * tokens for draw, tokens in zip(draws, prompts, strict=True)) / total,
        sum(draw * length for draw, length in zip(draws, lengths, strict=True)) / total,
    )
    return machine.sampled(texts, evaluate.draws)
