"""Which positions can be drawn, and what becomes of the others."""

from dataclasses import replace

import numpy as np
import pytest

from tasks.entropy.read import DocumentEntropy
from tasks.errors import Permanent
from tasks.schedule.positions import REASONS, context_room, judge
from tasks.schedule.spans import TokenText
from tasks.shared.next_token.config import PredictionPrompt
from tasks.shared.next_token.method import TierConfig
from tasks.shared.next_token.prompts import PredictionRenderer
from tests.support.thinking_tokenizer import thinking_tokenizer

TOKENIZER = thinking_tokenizer()
PLAIN = PredictionPrompt(style="plain", template="{context}\n[{budget}]<think>", template_without_budget="{context}[]")


def document(text: str, entropy: list[float], given: int = 0) -> DocumentEntropy:
    tokens = np.array(TOKENIZER.encode(text, add_special_tokens=False), dtype=np.int32)
    return DocumentEntropy(
        document_id="d",
        split="train",
        given_tokens=given,
        tokens=tokens,
        entropy=np.array(entropy, dtype=np.float32),
        log_prob=np.zeros(len(tokens), np.float32),
        top_token=np.zeros(len(tokens), np.int32),
        context_start=np.zeros(len(tokens), np.int32),
    )


def judged(found: DocumentEntropy, room: int = 100) -> tuple[list[int], dict[str, int]]:
    tiers, counts = judge(found, TokenText(TOKENIZER).spans(found.tokens), TierConfig(), room)
    return tiers.tolist(), counts


def test_each_position_has_a_tier_or_one_reason() -> None:
    found = document("abc字defg", [np.nan, 9, 0.1, 9, 9, 9, 0.7, 1.2, 1.6, 9], given=2)
    tiers, counts = judged(found, room=8)
    assert tiers == [-1, -1, -1, -1, -1, -1, 0, 1, 2, -1]
    assert counts == {
        "nothing_before": 1,
        "given": 1,
        "below_threshold": 1,
        "split_character": 3,
        "prompt_too_long": 1,
    }
    assert sum(counts.values()) + sum(tier >= 0 for tier in tiers) == len(tiers)
    assert tuple(counts) == REASONS


def test_a_context_that_begins_inside_a_character_is_no_context() -> None:
    found = document("字abc", [np.nan, 9, 9, 9, 9, 9])
    moved = replace(found, context_start=np.array([0, 0, 0, 0, 1, 3], dtype=np.int32))
    assert judged(found)[0] == [-1, -1, -1, 2, 2, 2]
    assert judged(moved)[0] == [-1, -1, -1, 2, -1, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"context_start": np.array([0, 0, 2, 0], np.int32)}, "position 2 is outside its context, which begins at 2"),
        ({"context_start": np.array([0, 0, 0, -1], np.int32)}, "position 3 is outside its context"),
        ({"context_start": np.zeros(3, np.int32)}, "4 tokens and 3 values of context_start"),
        ({"entropy": np.array([np.nan, 1, np.nan, 1], np.float32)}, "position 2 has an entropy of nan"),
        ({"entropy": np.array([np.nan, 1, 1, -0.5], np.float32)}, r"position 3 has an entropy of -0\.5"),
        ({"given_tokens": 5}, "given_tokens=5 of 4 tokens"),
    ],
)
def test_a_broken_table_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(Permanent, match=rf"document d: .*{message}.*run the entropy stage again"):
        judged(replace(document("abcd", [np.nan, 1, 1, 1]), **change))


def test_the_room_for_a_context_does_not_depend_on_the_budget() -> None:
    renderer = PredictionRenderer(PLAIN.model_copy(update={"template_without_budget": "{context}[]<think>"}), TOKENIZER)
    assert context_room(renderer, 64, 1) == context_room(renderer, 64, 800) == 64 - len("\n[99999]") - 1 - 16
    with pytest.raises(Permanent, match=r"max_prompt_tokens=25 leaves no room.* 9 tokens.*above 25"):
        context_room(renderer, 25)
