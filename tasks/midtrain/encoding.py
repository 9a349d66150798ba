"""Rows of `train.parquet` as token ids; what would be cut or would teach nothing is refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import Permanent
from tasks.shared.engines.tokens import encode_prompts
from tasks.shared.tables.parquet import read_columns

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

COLUMNS = ("prompt", "completion", "question_id")
_SHOWN = 5


@dataclass(frozen=True)
class TrainingExample:
    """One training example: loss falls on `completion` alone, which ends with the end-of-sequence token."""

    prompt: list[int]
    completion: list[int]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.completion)

    @property
    def whole(self) -> "TrainingExample":
        """The same tokens with loss on all that follow another one."""
        first, *rest = self.prompt
        return TrainingExample([first], rest + self.completion)


def read_examples(
    path: Path,
    tokenizer: "PreTrainedTokenizerBase",
    max_length: int,
    *,
    adds_prefix: bool = True,
    section: str = "midtrain",
) -> list[TrainingExample]:
    """All rows of the dataset as token ids, in file order.

    Prompt and completion are tokenised apart, so that the prompt's ids are the ones the model sees at inference;
    `adds_prefix` is that of the prompts' form, `section` the recipe's that `max_length` stands in.

    Raises:
        Permanent: no rows, a missing column, an empty prompt or completion, or an example longer than `max_length`;
            the message names the question ids and the fix.
    """
    table = read_columns(path, COLUMNS)
    if not table.num_rows:
        raise Permanent(f"{path}: no rows to train on; no solution was kept, see the ledger of the filtering stage")
    prompts, completions, ids = (table.column(name).to_pylist() for name in COLUMNS)
    _refuse("empty completion", [i for i, text in zip(ids, completions, strict=True) if not text], path)
    end = str(tokenizer.eos_token)
    closed = [text if text.endswith(end) else text + end for text in completions]
    tokens = zip(
        encode_prompts(tokenizer, prompts, adds_prefix=adds_prefix),
        tokenizer(closed, add_special_tokens=False)["input_ids"],
        strict=True,
    )
    examples = [TrainingExample(prompt, completion) for prompt, completion in tokens]
    _refuse("empty prompt", [i for i, e in zip(ids, examples, strict=True) if not e.prompt], path)
    _refuse_long(ids, [len(example) for example in examples], max_length, section)
    return examples


def _refuse(what: str, question_ids: Sequence[str], path: Path) -> None:
    if question_ids:
        raise Permanent(
            f"{path}: {len(question_ids)} rows have an {what}, e.g. question_id {', '.join(question_ids[:_SHOWN])}"
        )


def _refuse_long(question_ids: Sequence[str], lengths: Sequence[int], max_length: int, section: str) -> None:
    long = sorted(((n, i) for n, i in zip(lengths, question_ids, strict=True) if n > max_length), reverse=True)
    if long:
        shown = ", ".join(f"{question_id} ({length} tokens)" for length, question_id in long[:_SHOWN])
        raise Permanent(
            f"{section}.max_length={max_length} would cut {len(long)} of {len(lengths)} examples: {shown}; "
            f"set {section}.max_length to at least {long[0][0]}, or filter the dataset by length"
        )
