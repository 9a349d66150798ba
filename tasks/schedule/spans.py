"""Characters of a document that each of its tokens stands for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tasks.shared.engines.tokens import to_the_letter

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

INSIDE = -1
"""Value in place of an offset: a token ends inside a character."""
_UNKNOWN = -2
_REPLACEMENT = "\ufffd"
_FOLLOWING = 3
"""Tokens that the rest of a character can take."""


@dataclass(frozen=True, slots=True, eq=False)
class Spans:
    """A document's text, and where its tokens end in it."""

    text: str
    ends: npt.NDArray[np.int32]
    """Character offset at which each token ends, or `INSIDE`: also behind a replacement character (U+FFFD) of the text
    itself, which cannot be told from a part of a character."""

    @property
    def starts(self) -> npt.NDArray[np.int32]:
        """Character offset at which each token begins, or `INSIDE`."""
        return np.concatenate([np.zeros(1, np.int32), self.ends[:-1]])

    def between(self, first: int, stop: int) -> str:
        """Text of tokens `first` to `stop` - 1; both cuts have to be between characters."""
        begin, end = (int(self.ends[cut - 1]) if cut else 0 for cut in (first, stop))
        if INSIDE in (begin, end):
            raise ValueError(f"tokens {first} to {stop} do not begin and end between characters")
        return self.text[begin:end]


class TokenText:
    """Finds the spans of one tokenizer's tokens without its offsets: a document is known by its tokens alone.

    A document is decoded once. How long a token's text is, is looked up; only tokens that hold a part of a character
    are decoded with their neighbours. Decoding is done behind a word, since some tokenizers (Llama's) drop the space of
    the first token that they decode.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase") -> None:
        self._tokenizer = tokenizer
        self._anchor: list[int] = tokenizer.encode("a", add_special_tokens=False)
        self._anchor_text = self._decode(self._anchor)
        self._widths = np.full(0, _UNKNOWN, dtype=np.int32)

    def spans(self, tokens: npt.NDArray[np.int32]) -> Spans:
        """Text and ends of a document's tokens; what does not decode to whole text, from there on, has no ends."""
        ids = tokens.tolist()
        text = self._after_anchor(ids)
        widths = self._widths_of(tokens)
        ends = np.cumsum(widths, dtype=np.int32) if (widths >= 0).all() else self._walk(ids, widths, text)
        if ends[-1] != len(text):
            ends = self._walk(ids, np.full(len(ids), INSIDE, dtype=np.int32), text)
        if _REPLACEMENT in text:
            ends[[end > 0 and text[end - 1] == _REPLACEMENT for end in ends.tolist()]] = INSIDE
        dropped = len(self._after_anchor(ids[:1])) - len(self._decode(ids[:1]))
        if dropped > 0:
            text, ends = text[dropped:], np.where(ends == INSIDE, INSIDE, ends - dropped).astype(np.int32)
        return Spans(text, ends)

    def _walk(self, ids: Sequence[int], widths: npt.NDArray[np.int32], text: str) -> npt.NDArray[np.int32]:
        """Ends where some tokens hold parts of characters: a cut is whole where what was decoded is in the text."""
        ends = np.full(len(ids), INSIDE, dtype=np.int32)
        first = place = 0
        for index, width in enumerate(widths.tolist()):
            if first != index or width < 0:
                piece = self._after_anchor(ids[first : index + 1])
                if not text.startswith(piece, place) or self._is_cut(ids, first, index + 1, piece):
                    continue
                width = len(piece)
            first, place = index + 1, place + width
            ends[index] = place
        return ends

    def _is_cut(self, ids: Sequence[int], first: int, stop: int, piece: str) -> bool:
        """Whether a seeming replacement character of the text itself is the first part of one."""
        following = ids[stop : stop + _FOLLOWING]
        if not following or not piece.endswith(_REPLACEMENT):
            return False
        return self._after_anchor([*ids[first:stop], *following]) != piece + self._after_anchor(following)

    def _widths_of(self, tokens: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Characters of each token's text; `INSIDE` where it may hold a part of one."""
        top = int(tokens.max()) + 1
        if top > len(self._widths):
            more = np.full(top - len(self._widths), _UNKNOWN, dtype=np.int32)
            self._widths = np.concatenate([self._widths, more])
        widths = self._widths[tokens]
        if (widths == _UNKNOWN).any():
            for token in np.unique(tokens[widths == _UNKNOWN]).tolist():
                piece = self._after_anchor([token])
                self._widths[token] = INSIDE if _REPLACEMENT in piece else len(piece)
            widths = self._widths[tokens]
        return widths

    def _after_anchor(self, ids: Sequence[int]) -> str:
        return self._decode([*self._anchor, *ids]).removeprefix(self._anchor_text)

    def _decode(self, ids: Sequence[int]) -> str:
        return to_the_letter(self._tokenizer, ids)
