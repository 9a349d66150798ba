"""Cost of `texts`, and how many documents of what length later stages meet."""

from tasks.shared.costs.lengths import prompt_tokens
from tasks.shared.costs.machine import STORED_PER_TOKEN, Machine, StageEstimate
from tasks.shared.models.config import ModelConfig
from tasks.shared.next_token.config import PredictionPrompt
from tasks.shared.prompts.config import PromptConfig
from tasks.texts.config import TextsConfig

DOCUMENT_TOKENS = 700
"""Tokens of a document with its given part, where nothing better is known: a problem of Omni-MATH and its solution
(ours)."""
TINY_TOKENS = {"worked": 56, "chains": 114}


def texts(machine: Machine, texts: TextsConfig) -> StageEstimate:
    """Cost of loading a corpus."""
    return machine.table(all_tokens(texts) * STORED_PER_TOKEN)


def document_count(texts: TextsConfig) -> int:
    """Number of training documents. Raises ValueError for a corpus of unknown size without a limit."""
    held = texts.tiny.count if texts.source == "tiny" else texts.limit
    if held is None:
        raise ValueError(f"how many documents {texts.source!r} holds is not known; set texts.limit")
    return min(held, texts.limit or held)


def document_tokens(texts: TextsConfig) -> int:
    """Mean tokens of a document."""
    return TINY_TOKENS[texts.tiny.kind] if texts.source == "tiny" else DOCUMENT_TOKENS


def position_tokens(
    model: ModelConfig, texts: TextsConfig, prompt: PromptConfig, prediction_prompt: PredictionPrompt
) -> float:
    """Mean tokens of a prompt for the next token: half a document and the request."""
    return document_tokens(texts) / 2 + prompt_tokens(model, prompt, len(prediction_prompt.template))


def all_tokens(texts: TextsConfig) -> int:
    """Tokens of the training documents and those held out."""
    return (document_count(texts) + texts.evaluation_documents) * document_tokens(texts)
