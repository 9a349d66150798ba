r"""Reasoning length and prediction, read from the tokens that a model wrote (step 4, arXiv 2509.24375).

The reasoning ends at the first closing tag: a model that closes, and reasons on, has stopped reasoning, and what it
goes on to say is part of its answer (ours), unless it opens a thought again: what stands in one is no answer. Tags are
told by token id, never by text, so that a tag that was spelled out in letters is none.
"""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from tasks.shared.verification.answers.boxes import argument

Outcome = Literal["predicted", "no_prediction", "truncated"]
OUTCOMES = ("right", "wrong", "no_prediction", "truncated")
"""Fates of a prediction that was asked for: it matches or not, a completion ended without any, or it was cut."""
Decode = Callable[[Sequence[int]], str]
"""Function from token ids to text as it is: special tokens kept, spaces untouched."""

_BOX = re.compile(r"\\boxed\{")


@dataclass(frozen=True)
class Prediction:
    """Reasoning and prediction of a completion."""

    reasoning_tokens: int
    """Tokens between the think tags, tags left out; up to the end where the reasoning was never closed."""
    closed: bool
    """Whether there is a closing tag; a length reward is paid for closed reasoning alone."""
    text: str | None
    """The prediction, verbatim, leading spaces included; None unless the outcome is `predicted`."""
    outcome: Outcome
    """`truncated`: cut before an end token. `no_prediction`: ended, with reasoning that is not closed (or was opened
    again and not closed), or with nothing predicted."""


@dataclass(frozen=True)
class Reader:
    """Reads completions of one tokenizer and one kind of prompt."""

    open_id: int
    close_id: int
    end_ids: Collection[int]
    """Tokens that end a completion."""
    opened: bool
    """Whether the prompt already opens the reasoning, which then begins at the completion's first token."""
    form: Literal["boxed", "bare"]
    """Place of the prediction, as in `PredictionPrompt.prediction`."""
    decode: Decode

    def read(self, ids: Sequence[int]) -> Prediction:
        """The prediction in a completion's token ids; what follows the first end token (padding) is not looked at."""
        end = next((place for place, token in enumerate(ids) if token in self.end_ids), None)
        written = list(ids if end is None else ids[:end])
        close = written.index(self.close_id) if self.close_id in written else None
        reasoning_tokens = self._reasoning_tokens(written[:close])
        if end is None:
            return Prediction(reasoning_tokens, close is not None, None, "truncated")
        if close is None:
            return Prediction(reasoning_tokens, False, None, "no_prediction")
        text = self._answer(self._behind_thoughts(written[close:]))
        if self.form == "boxed":
            text = boxed(text)
        return Prediction(reasoning_tokens, True, text or None, "predicted" if text else "no_prediction")

    def _reasoning_tokens(self, before_close: Sequence[int]) -> int:
        """Tokens after the opening tag; all of them where the model closes what nobody opened (ours)."""
        if self.opened or self.open_id not in before_close:
            return len(before_close)
        return len(before_close) - before_close.index(self.open_id) - 1

    def _behind_thoughts(self, from_close: list[int]) -> list[int]:
        """Tokens from the closing tag on behind which no thought is opened again; none where the last stays open."""
        while self.open_id in from_close:
            opened = from_close.index(self.open_id)
            if self.close_id not in from_close[opened:]:
                return []
            from_close = from_close[from_close.index(self.close_id, opened) :]
        return from_close

    def _answer(self, from_close: Sequence[int]) -> str:
        # Decoded behind the tag: some tokenizers drop the space of the first token that they decode.
        return self.decode(from_close).removeprefix(self.decode(from_close[:1]))


def boxed(text: str) -> str | None:
    r"""Content, verbatim, of the last complete `\boxed{...}`; None where there is none.

    Braces have to balance. A token may be a brace that does not, as `\frac{` or `}$` in LaTeX: a last box that has no
    balanced content is then read up to the closing brace that ends the text (ours).
    """
    *earlier, last = [match.end() for match in _BOX.finditer(text)] or [None]
    if last is None:
        return None
    content = argument(text, last - 1)
    if not content and text.rstrip().endswith("}"):
        content = text.rstrip()[last:-1]
    complete = (argument(text, start - 1) for start in reversed(earlier))
    return content if content is not None else next((text for text in complete if text is not None), None)
