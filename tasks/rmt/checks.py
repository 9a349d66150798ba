"""Checks before any training."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tasks.errors import Permanent
from tasks.rmt.rows import Run
from tasks.shared.engines.tokens import encode_prompts
from tasks.shared.next_token.config import PredictionPrompt
from tasks.spine.store.fingerprint import canonical, changed_fields

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_PROMPTS_AT_ONCE = 1024


def check_tokenizer(model_digest: str, schedule_digest: str, run: Run, vocabulary: int) -> None:
    """Refuse a schedule that was written with another tokenizer than the model's.

    Args:
        model_digest: digest of the model's tokenizer.
        schedule_digest: digest of the schedule's; empty where it is not known.
        vocabulary: rows of the model's embedding.

    Raises:
        Permanent: the digests differ, or the schedule has tokens that the model does not.
    """
    fix = "write the schedule (and the entropy that it is drawn from) with the model that is to be trained"
    if schedule_digest and model_digest != schedule_digest:
        raise Permanent(
            f"the schedule was written with the tokenizer {schedule_digest[:16]}, but the model has "
            f"{model_digest[:16]}; {fix}"
        )
    largest = max(int(text.tokens.max()) for text in run.texts.values())
    if largest >= vocabulary:
        raise Permanent(f"the schedule has token {largest}, but the model has {vocabulary} tokens; {fix}")


def longest_prompt(tokenizer: "PreTrainedTokenizerBase", prompts: Sequence[str], *, adds_prefix: bool = True) -> int:
    """Tokens of the longest prompt."""
    starts = range(0, len(prompts), _PROMPTS_AT_ONCE)
    parts = (
        encode_prompts(tokenizer, prompts[start : start + _PROMPTS_AT_ONCE], adds_prefix=adds_prefix)
        for start in starts
    )
    return max(len(ids) for part in parts for ids in part)


def check_prompt(written: dict[str, Any], wanted: PredictionPrompt) -> None:
    """Refuse a schedule whose prompts ask for predictions in another form than the reward reads.

    Args:
        written: the schedule's `prediction_prompt`, as in its manifest.
        wanted: the run's own.

    Raises:
        Permanent: a field differs.
    """
    changes = changed_fields(written, canonical(wanted))
    if changes:
        shown = "; ".join(f"{name}: {old!r} there, {new!r} here" for name, (old, new) in changes.items())
        raise Permanent(
            f"the schedule was written with another rmt_train.prediction_prompt ({shown}); give both the same, e.g. by "
            "writing the schedule again"
        )
