"""Cost of `filter`: every sample is checked, and the right ones are scored where there is a scorer."""

from tasks.filter.adherence.config import JudgeScorer, RewardModelScorer
from tasks.filter.config import FilterConfig
from tasks.generate.config import GenerateConfig
from tasks.generate.estimate import generated, written_by
from tasks.questions.config import QuestionsConfig
from tasks.questions.estimate import question_tokens
from tasks.shared.costs.expected import Expected
from tasks.shared.costs.machine import STORED_PER_TOKEN, Machine, StageEstimate
from tasks.shared.prompts.config import PromptConfig

CHECKS_PER_S = 750
"""Answers that one core checks: math-verify on answers of 2,500 characters."""
JUDGEMENT_TOKENS, JUDGE_CHARS_PER_TOKEN = 80, 4
"""Length of a reason with its score, and of the characters that a judge is asked with (ours)."""


def filter(
    machine: Machine,
    filter: FilterConfig,
    generate: GenerateConfig,
    questions: QuestionsConfig,
    prompt: PromptConfig,
    expected: Expected,
) -> StageEstimate:
    """Cost of verdicts, and of the adherence of right samples.

    A likelihood ratio takes two passes over each solution with its question; the shared part of its prompts is read
    once and not counted. A reward model takes one pass. A judge reads and writes elsewhere: its tokens are counted,
    and no hours. Endings and arithmetic, half a millisecond for 500 characters, are not counted.
    """
    machine = written_by(machine, generate)
    samples = generated(machine.model, generate, questions, prompt, expected)
    right = samples.count * (1.0 if filter.score_wrong else expected.right_share)
    length = question_tokens(machine.model, questions) + samples.completion
    checking = samples.count / CHECKS_PER_S / machine.runtime.num_verifiers
    disk_bytes = samples.tokens * STORED_PER_TOKEN
    scorer = filter.scorer
    if isinstance(scorer, JudgeScorer):
        rubrics = [len(f"{item.name}{item.instruction}{item.rubric_text}") for item in generate.answered()]
        asked = (len(scorer.template) + sum(rubrics) / len(rubrics)) / JUDGE_CHARS_PER_TOKEN
        tokens = right * (length + asked + JUDGEMENT_TOKENS)
        return machine.made(checking, tokens=tokens, what="judged by a server", disk_bytes=disk_bytes)
    scored = {"none": 0, "likelihood_ratio": 2, "reward_model": 1}[scorer.type] * right * length
    if isinstance(scorer, RewardModelScorer):
        machine = Machine(scorer.model, machine.runtime, machine.device)
    return machine.made(
        checking + machine.device.forward_s(machine.facts, scored),
        tokens=scored,
        what="scored",
        flops=2 * machine.facts.active * scored,
        disk_bytes=disk_bytes,
    )
