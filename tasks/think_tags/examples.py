"""Examples of the form "context, thought, next token": positions of documents, and drafts as their thoughts."""

import math
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from tasks.errors import Permanent
from tasks.shared.engines.tokens import encode_prompts, to_the_letter
from tasks.shared.next_token.prompts import PredictionRenderer
from tasks.shared.tables.parquet import Row, count_rows, read_rows
from tasks.spine.store.fingerprint import stable_seed
from tasks.texts.schema import TRAIN_FILE
from tasks.think_tags.config import ThinkTagsConfig

EXAMPLES_FILE = "examples.parquet"
EXAMPLES = pa.schema(
    [
        pa.field("question_id", pa.string(), nullable=False),
        pa.field("position", pa.int32(), nullable=False),
        pa.field("prompt", pa.string(), nullable=False),
        pa.field("completion", pa.string(), nullable=False),
    ]
)
"""A row per example, as SFT reads them; `question_id` is the document's id."""
SLACK_TOKENS = 16
"""A text that is cut and tokenized again may need a few tokens more (ours)."""
_WIDEST_BUDGET = 99_999


@dataclass(frozen=True, slots=True)
class Place:
    """One position of a document that an example is made of."""

    document_id: str
    position: int
    context: str
    target: str
    """Text of the true next token."""
    thought_tokens: int
    """Tokens that its thought is cut to."""
    names_budget: bool
    """Whether the prompt asks for as many tokens as the thought has."""


class ExampleWriter:
    """Draws places, and makes examples of them and their drafts, for one tokenizer that has the tags."""

    def __init__(self, config: ThinkTagsConfig, renderer: PredictionRenderer, context_tokens: int | None) -> None:
        """`context_tokens` is the model's context; None sets no limit."""
        self._config, self._renderer, self._tokenizer = config, renderer, renderer.tokenizer
        self._room = self._context_room(context_tokens)
        prompt = config.prediction_prompt
        special = {token.content for token in self._tokenizer.added_tokens_decoder.values() if token.special}
        self._marks = sorted({*special, *self._tokenizer.all_special_tokens, prompt.open_tag, prompt.close_tag} - {""})
        self.counts: Counter[str] = Counter()
        """Documents and places by what became of them."""

    def places(self, texts: Path) -> list[Place]:
        """Positions of the training documents, each document's in random order; the first documents by id, which is a
        digest and so as good as drawn.

        Raises:
            Permanent: there is none.
        """
        found: list[Place] = []
        columns = ["document_id", "text", "given_chars"]
        each = math.ceil(self._config.examples / max(1, count_rows(texts / TRAIN_FILE)))
        for row in read_rows(texts / TRAIN_FILE, columns):
            if len(found) == self._config.examples:
                break
            more = self._in_document(row, min(each, self._config.examples - len(found)))
            found += more
            self.counts["documents"] += 1
            self.counts["documents_without_place"] += not more
        if not found:
            raise Permanent(
                f"no position of {self.counts['documents']} documents can be an example: they hold special tokens, "
                f"or nothing within think_tags.max_length={self._config.max_length} tokens that is not given"
            )
        return found

    def examples(self, places: Iterable[Place], drafts: Iterable[str]) -> Iterator[Row]:
        """Rows of schema `EXAMPLES`, in order; a draft that is empty or holds a special token makes none."""
        for place, draft in zip(places, drafts, strict=True):
            self.counts["places"] += 1
            thought = self._cut(draft, place.thought_tokens)
            if reason := self._unusable(thought):
                self.counts[reason] += 1
                continue
            self.counts["examples"] += 1
            yield {
                "question_id": place.document_id,
                "position": place.position,
                "prompt": self._renderer.prompt(place.context, len(self._ids(thought)) if place.names_budget else 0),
                "completion": self._completion(thought, place.target),
            }

    def ledger(self) -> dict[str, int]:
        """Places and documents, and what became of them: places = examples + the two reasons."""
        names = ("documents", "documents_without_place", "places", "examples", "empty_thought", "special_token")
        return {name: self.counts[name] for name in names}

    def _in_document(self, row: dict[str, Any], most: int) -> list[Place]:
        if any(mark in row["text"] for mark in self._marks):
            return []
        ids = self._ids(row["text"])
        draw = random.Random(stable_seed(self._config.seed, row["document_id"]))
        positions = list(range(1, min(len(ids), self._room + 1)))
        draw.shuffle(positions)
        found: list[Place] = []
        for position in positions:
            context, whole = self._text(ids[:position]), self._text(ids[: position + 1])
            # What a token's text does not begin or end in is a character that several tokens share.
            between = row["text"].startswith(whole) and whole.startswith(context) and len(whole) > len(context)
            if not between or len(context) < max(1, row["given_chars"]):
                continue
            length, names = draw.randint(1, self._config.thought_tokens), draw.random() < 0.5
            found.append(Place(row["document_id"], position, context, whole[len(context) :], length, names))
            if len(found) == most:
                break
        return found

    def _context_room(self, context_tokens: int | None) -> int:
        """Tokens that are left for a context beside the prompt's own words, the thought and the prediction."""
        limit = min(self._config.max_length, context_tokens or self._config.max_length)
        prompts = [self._renderer.prompt("", _WIDEST_BUDGET), self._renderer.prompt("")]
        adds_prefix = self._renderer.form.adds_prefix
        own = max(map(len, encode_prompts(self._tokenizer, prompts, adds_prefix=adds_prefix)))
        beside = own + self._config.thought_tokens + SLACK_TOKENS
        if limit <= beside:
            raise Permanent(
                f"think_tags.max_length={self._config.max_length} (model's context: {context_tokens}) leaves no room "
                f"for a context: prompt, thought and prediction take {beside} tokens; raise it, or lower "
                f"think_tags.thought_tokens={self._config.thought_tokens}"
            )
        return limit - beside

    def _cut(self, draft: str, tokens: int) -> str:
        """The draft's first tokens, without the part of a character that a cut leaves behind."""
        return self._text(self._ids(draft)[:tokens]).rstrip("\ufffd")

    def _unusable(self, thought: str) -> str:
        if any(mark in thought for mark in self._marks):
            return "special_token"
        return "" if thought.strip() else "empty_thought"

    def _completion(self, thought: str, target: str) -> str:
        prompt = self._config.prediction_prompt
        opens = "" if self._renderer.opens_reasoning else prompt.open_tag
        answer = f"\\boxed{{{target}}}" if prompt.prediction == "boxed" else target
        return f"{opens}{thought}{prompt.close_tag}{answer}"

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return ids

    def _text(self, ids: list[int]) -> str:
        return to_the_letter(self._tokenizer, ids)
