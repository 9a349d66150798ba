"""Cost of `filter`: every sample is checked, and scored where there is a scorer."""

from tasks.filter.config import FilterConfig
from tasks.generate.config import GenerateConfig
from tasks.generate.estimate import generated, written_by
from tasks.questions.config import QuestionsConfig
from tasks.questions.estimate import question_tokens
from tasks.shared.costs.machine import STORED_PER_TOKEN, Machine, StageEstimate
from tasks.shared.prompts.config import PromptConfig

CHECKS_PER_S = 750
"""Answers that one core checks: math-verify on answers of 2,500 characters."""


def filter(
    machine: Machine,
    filter: FilterConfig,
    generate: GenerateConfig,
    questions: QuestionsConfig,
    prompt: PromptConfig,
) -> StageEstimate:
    """Cost of verdicts and of adherence: two passes over each solution with its question.

    The shared part of the scorer's prompts is read once and not counted; nor are endings and arithmetic, half
    a millisecond for 500 characters.
    """
    machine = written_by(machine, generate)
    samples = generated(machine.model, generate, questions, prompt)
    length = question_tokens(machine.model, questions) + samples.completion
    scored = 0 if filter.scorer.type == "none" else 2 * samples.count * length
    checking = samples.count / CHECKS_PER_S / machine.runtime.num_verifiers
    return machine.made(
        checking + machine.device.forward_s(machine.facts, scored),
        tokens=scored,
        what="scored",
        flops=2 * machine.facts.active * scored,
        disk_bytes=samples.tokens * STORED_PER_TOKEN,
    )
