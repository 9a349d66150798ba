"""From what a checkpoint wrote to rows of predictions."""

from collections.abc import Callable

from tasks.predict.positions import Position
from tasks.predict.schema import DIRECT, REASONING
from tasks.shared.next_token.method import exact_match, prefix_match
from tasks.shared.next_token.prompts import PredictionRenderer
from tasks.shared.next_token.reader import Reader
from tasks.shared.tables.parquet import Row

NO_SAMPLE = -1


class Answers:
    """Grades the predictions of one checkpoint."""

    def __init__(self, renderer: PredictionRenderer) -> None:
        self._tokenizer = renderer.tokenizer
        # An engine cuts the end token off and says that there was one; any id will do to say it again.
        self._end: int = renderer.tokenizer.eos_token_id
        self._reader: Reader = renderer.reader([self._end])
        self._decode: Callable[[list[int]], str] = self._reader.decode
        self.written_otherwise = 0
        """Completions that have another number of tokens when their text is tokenized again: in those, the length of
        the reasoning may be off by a few."""

    def direct(self, position: Position, token: int) -> Row:
        """The row of a likeliest next token."""
        # Behind the token before it: some tokenizers drop the space of the first token that they decode.
        both, before = self._decode([position.before, token]), self._decode([position.before])
        text = both.removeprefix(before)
        right = token == position.token
        return {
            **_place(position),
            "mode": DIRECT,
            "sample_index": NO_SAMPLE,
            "predicted": text,
            "correct": right,
            "prefix_correct": right or prefix_match(text, position.continuation, position.boundaries),
            "outcome": "right" if right else "wrong",
            "reasoning_tokens": -1,
            "completion": "",
        }

    def reasoned(self, position: Position, sample: Row) -> Row:
        """The row of a completion of the prediction prompt, a sample of schema `SAMPLES`."""
        ids = self._tokenizer(sample["completion"], add_special_tokens=False)["input_ids"]
        if sample["finish_reason"] == "stop":
            ids = [*ids, self._end]
        self.written_otherwise += len(ids) != sample["completion_tokens"]
        found = self._reader.read(ids)
        right = exact_match(found.text, position.target)
        return {
            **_place(position),
            "mode": REASONING,
            "sample_index": sample["sample_index"],
            "predicted": found.text or "",
            "correct": right,
            "prefix_correct": prefix_match(found.text, position.continuation, position.boundaries),
            "outcome": ("right" if right else "wrong") if found.outcome == "predicted" else found.outcome,
            "reasoning_tokens": found.reasoning_tokens,
            "completion": sample["completion"],
        }


def _place(position: Position) -> Row:
    return {"document_id": position.document_id, "position": position.position, "tier": position.tier}
