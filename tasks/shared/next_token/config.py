"""Prompts that ask a model to reason about the next token: part of the identity of every stage that asks."""

from typing import Literal

from pydantic import model_validator

from tasks.shared.prompts.config import TemplateConfig


class PredictionPrompt(TemplateConfig):
    """Prompts that ask a model to reason about the next token. Wording: ours; idea: RPT's (arXiv 2506.08007)."""

    style: Literal["auto", "chat", "plain"] = "auto"
    """`chat`: the chat template around one user message. `plain`: the template as it stands. `auto`: `chat` where the
    tokenizer has a template."""
    template: str = (
        "Complete the text under ### Context by predicting its next token. Reason step by step inside <think></think>, "
        "using exactly {budget} tokens, then give the predicted token in \\boxed{}. A token may begin with a space; "
        "keep it inside the box.\n\n### Context\n{context}"
    )
    """Prompt with a budget. Placeholders: context, budget."""
    template_without_budget: str = (
        "Complete the text under ### Context by predicting its next token. Reason step by step inside <think></think>, "
        "then give the predicted token in \\boxed{}. A token may begin with a space; keep it inside the box."
        "\n\n### Context\n{context}"
    )
    """Prompt without a budget. Placeholder: context."""
    prediction: Literal["boxed", "bare"] = "boxed"
    """Place of the prediction after `</think>`: in the last `\\boxed{}`, or alone, as everything up to the end."""
    open_tag: str = "<think>"
    """Tag that opens the reasoning; a single token of the tokenizer."""
    close_tag: str = "</think>"
    """Tag that closes the reasoning; a single token of the tokenizer."""

    @model_validator(mode="after")
    def _has_its_placeholders(self) -> "PredictionPrompt":
        for name, wanted in (("template", ("context", "budget")), ("template_without_budget", ("context",))):
            for placeholder in wanted:
                if getattr(self, name).count(f"{{{placeholder}}}") != 1:
                    raise ValueError(f"{name} must contain {{{placeholder}}} exactly once: {getattr(self, name)!r}")
        return self
