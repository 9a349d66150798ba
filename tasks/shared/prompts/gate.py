"""The gate that a model's chat template passes once for each prompt setting, before anything is generated or trained.

It is judged by what it does with two made-up questions, not by how it is written: which form of content it takes, that
question and system message stand in the text to the letter, and that the token ids begin and end as the model needs.
"""

import itertools
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.errors import Permanent
from tasks.shared.engines.tokens import check_inside, own_prefix, to_the_letter
from tasks.shared.prompts.template import ChatTemplate, Messages, TemplateError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PROBES = ("How many are 2 + 3?\n(\"two\" and 'three', both < 5 & > 1)", "Is 41 prime? \\boxed{yes} or {{ no }}: é, 数")
"""Questions with all that a template may escape, so that content printed as a Python object is not taken for text."""
_SYSTEM_PROBE = 'Answer "briefly"\n& don\'t guess < {{ 1 }}.'
_SHOWN_CHARS = 200


@dataclass(frozen=True)
class Layout:
    """The form of content that a template takes, for each role: a string, or a list of parts."""

    system_as_parts: bool = False
    user_as_parts: bool = False

    def messages(self, system: str, *turns: str) -> Messages:
        """Chat messages of user and assistant in turn, the user's first; an empty system text sends none."""
        first = [_message("system", system, self.system_as_parts)] if system else []
        roles = itertools.cycle(("user", "assistant"))
        return [*first, *(_message(role, text, self.user_as_parts) for role, text in zip(roles, turns, strict=False))]


@dataclass(frozen=True)
class ModelTokens:
    """What the gate knows of a model beside its tokenizer."""

    end_ids: Collection[int] = ()
    """Tokens that end a completion, beside the tokenizer's end token."""
    embedding_size: int | None = None
    """Rows of the embedding; None where they are not known."""
    special: Collection[str] = ()
    """Texts that the tokenizer reads as tokens with a meaning of their own."""


def _message(role: str, text: str, as_parts: bool) -> dict[str, str | list[dict[str, str]]]:
    return {"role": role, "content": [{"type": "text", "text": text}] if as_parts else text}


def settle_layout(template: ChatTemplate, system: str) -> Layout:
    """The form of content under which the template shows a question, and a system message if one is to be sent.

    Raises:
        Permanent: none does; names what is missing and what to set.
    """
    refused: list[str] = []
    for layout in _layouts(bool(system)):
        try:
            probe = _SYSTEM_PROBE if system else ""
            texts = [template.render(layout.messages(probe, question)) for question in PROBES]
        except TemplateError as error:
            refused.append(f"it raised {error}")
            continue
        missing = _missing(texts, probe)
        if not missing:
            return layout
        refused.append(f"{missing} not in the text, which is {texts[0][:_SHOWN_CHARS]!r}")
    # Strings are what all but a few templates take: their fault is the one to be shown.
    advice = "mend the prompt's settings or the template, or set prompt.style=plain"
    if system and _takes_no_system(template):
        advice = "empty prompt.system and put its words into prompt.plain_template and prompt.heuristic_template"
    raise Permanent(f"the chat template of {template.name} cannot render prompts: {refused[0]}; {advice}")


def _layouts(with_system: bool) -> Iterator[Layout]:
    yield Layout()
    yield Layout(True, True)
    if with_system:
        yield Layout(False, True)
        yield Layout(True, False)


def _missing(texts: list[str], system: str) -> str:
    if any(question not in text for question, text in zip(PROBES, texts, strict=True)):
        return "the question is"
    return "the system message is" if any(system not in text for text in texts) else ""


def _takes_no_system(template: ChatTemplate) -> bool:
    """Whether the template does well without a system message."""
    try:
        settle_layout(template, "")
    except Permanent:
        return False
    return True


def adds_own_prefix(
    rendered: str, template: ChatTemplate, tokenizer: "PreTrainedTokenizerBase", model: ModelTokens
) -> bool:
    """Whether the tokenizer's prefix has to be put before a rendered prompt, because the template does not write it.

    Raises:
        Permanent: its ids hold the prefix twice, end with an end token, or lie outside the embedding.
    """
    ids: list[int] = tokenizer(rendered, add_special_tokens=False)["input_ids"]
    prefix, ends = own_prefix(tokenizer), {*model.end_ids, tokenizer.eos_token_id}
    written = prefix != [] and ids[: len(prefix)] == prefix
    whole = ids if written else [*prefix, *ids]
    # A begin token that ends texts too, or marks turns, may come again behind the first.
    alone = prefix if not ends.intersection(prefix) else []
    twice = whole[len(prefix) : 2 * len(prefix)] == prefix if prefix else False
    if twice or (alone and _count(whole, alone) > 1):
        raise Permanent(
            f"the chat template of {template.name} writes {to_the_letter(tokenizer, prefix)!r} more than once, or not "
            f"at the beginning: {rendered[:_SHOWN_CHARS]!r}; mend the template, or set prompt.style=plain"
        )
    last = next((token for token in reversed(ids) if to_the_letter(tokenizer, [token]).strip()), None)
    if last in ends:
        raise Permanent(
            f"prompts from the chat template of {template.name} end with the end token "
            f"{to_the_letter(tokenizer, [last])!r} and open no answer: it passes over add_generation_prompt; mend the "
            "template, or set prompt.style=plain"
        )
    check_inside(tokenizer, [whole], model.embedding_size)
    return prefix != [] and not written


def _count(ids: list[int], part: list[int]) -> int:
    return sum(ids[start : start + len(part)] == part for start in range(len(ids) - len(part) + 1))
