"""Lengths of texts in tokens, for estimates: from characters and the kind of vocabulary."""

from dataclasses import dataclass

from tasks.shared.models.config import ModelConfig
from tasks.shared.models.resolve import SHIPPED
from tasks.shared.prompts.config import PromptConfig

CHARS_PER_TOKEN = 3.6
"""Characters a token of mathematical English under vocabularies of 100,000 and more (ours, rough)."""
EMBEDDED_CHARS_PER_TOKEN = 2.9
"""Characters a token of the small world's problems under its own vocabulary of 640."""
CHAT_TOKENS = 40
"""Tokens that a chat template adds to a prompt (ours, rough)."""


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


def text_tokens(model: ModelConfig, chars: float) -> float:
    """Tokens of `chars` characters under a model's vocabulary."""
    return chars / (EMBEDDED_CHARS_PER_TOKEN if model.source in SHIPPED else CHARS_PER_TOKEN)


def prompt_tokens(model: ModelConfig, prompt: PromptConfig, chars: float) -> float:
    """Tokens of the fixed text of a prompt, with what its style adds."""
    return text_tokens(model, chars) + (0 if prompt.style == "plain" else CHAT_TOKENS)
