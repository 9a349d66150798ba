"""Cost of `think_tags`: one draft for each example, and the SFT on them."""

from dataclasses import replace

from tasks.shared.costs.lengths import Texts
from tasks.shared.costs.machine import Machine, StageEstimate
from tasks.shared.next_token.config import PredictionPrompt
from tasks.shared.prompts.config import PromptConfig
from tasks.texts.config import TextsConfig
from tasks.texts.estimate import document_tokens, position_tokens
from tasks.think_tags.config import ThinkTagsConfig

ANSWER_TOKENS = 12
"""Tags and prediction around a thought (ours)."""


def think_tags(
    machine: Machine,
    think_tags: ThinkTagsConfig,
    texts: TextsConfig,
    prompt: PromptConfig,
    prediction_prompt: PredictionPrompt,
) -> StageEstimate:
    """Cost of drafts of the greatest length and of all epochs over examples with thoughts of half of it.

    Not of the fit of the tags' rows, one pass over a few hundred examples.
    """
    drafts = machine.sampled(Texts(think_tags.examples, document_tokens(texts) / 2, think_tags.thought_tokens), 1)
    example = position_tokens(machine.model, texts, prompt, prediction_prompt) + think_tags.thought_tokens / 2
    tokens = think_tags.examples * think_tags.epochs * (example + ANSWER_TOKENS)
    trained = machine.trained(tokens, think_tags)
    return replace(trained, hours=drafts.hours + trained.hours, flops=drafts.flops + trained.flops)
