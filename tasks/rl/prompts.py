"""Prompts of `rl.parquet` that can be trained on, and a reason for each one that cannot."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tasks.errors import Permanent
from tasks.shared.tables.parquet import read_columns

COLUMNS = ("prompt", "answer", "question_id")
_LISTED = 100


@dataclass(frozen=True)
class RLPrompt:
    """One question of RL."""

    question_id: str
    text: str
    answer: str
    ids: tuple[int, ...]


@dataclass
class RLPrompts:
    """Prompts that are trained on, and what was left out."""

    usable: list[RLPrompt] = field(default_factory=list)
    too_long: list[str] = field(default_factory=list)
    """`question_id (tokens)` of prompts above `max_prompt_tokens`."""
    gold_errors: list[str] = field(default_factory=list)
    """`question_id: answer` of questions whose gold answer no grader can read."""

    def ledger(self) -> dict[str, int]:
        """Counts that add up: prompts = usable + too_long + gold_errors."""
        counts = {"usable": len(self.usable), "too_long": len(self.too_long), "gold_errors": len(self.gold_errors)}
        return {"prompts": sum(counts.values()), **counts}

    def listed(self) -> dict[str, list[str]]:
        """The first of what was left out, for the manifest."""
        return {"too_long": self.too_long[:_LISTED], "gold_errors": self.gold_errors[:_LISTED]}


def read_prompts(
    path: Path,
    encode: Callable[[list[str]], list[list[int]]],
    gold_is_readable: Callable[[list[str]], list[bool]],
    max_prompt_tokens: int,
) -> RLPrompts:
    """Read and sort out the prompts of an RL dataset.

    Raises:
        Permanent: a missing column, no rows, or nothing usable among them.
    """
    texts, answers, question_ids = (column.to_pylist() for column in read_columns(path, COLUMNS).columns)
    if not texts:
        raise Permanent(f"{path}: no rows to train on; see the ledger of the stage that wrote it")
    result = _sort_out(texts, answers, question_ids, encode(texts), gold_is_readable(answers), max_prompt_tokens)
    if not result.usable:
        raise Permanent(
            f"{path}: none of {len(texts)} prompts can be used: {result.ledger()}; e.g. "
            f"{'; '.join((result.too_long + result.gold_errors)[:3])}. Raise rl.max_prompt_tokens={max_prompt_tokens} "
            "or mend the answers"
        )
    return result


def _sort_out(
    texts: Sequence[str],
    answers: Sequence[str],
    question_ids: Sequence[str],
    ids: Sequence[Sequence[int]],
    readable: Sequence[bool],
    max_prompt_tokens: int,
) -> RLPrompts:
    result = RLPrompts()
    for text, answer, question_id, tokens, ok in zip(texts, answers, question_ids, ids, readable, strict=True):
        if not ok:
            result.gold_errors.append(f"{question_id}: {answer[:80]!r}")
        elif len(tokens) > max_prompt_tokens:
            result.too_long.append(f"{question_id} ({len(tokens)} tokens)")
        else:
            result.usable.append(RLPrompt(question_id, text, answer, tuple(tokens)))
    return result
