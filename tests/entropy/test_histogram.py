"""Counts by entropy, and their picture."""

import math
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from tasks.entropy.config import EntropyConfig
from tasks.entropy.plot import draw_histogram
from tasks.entropy.tally import BINS_PER_NAT, count_into, empty_histogram, trimmed
from tasks.shared.next_token.method import TierConfig


def test_tiers_can_be_cut_from_the_bins() -> None:
    """Every default threshold is an edge: a position on it belongs to the bin above."""
    entropy = np.array([0.0, 0.049, 0.05, 0.4999, 0.5, 0.99, 1.0, 1.5, math.log(640)], dtype=np.float32)
    counts = empty_histogram()
    count_into(counts, entropy[:4])
    count_into(counts, entropy[4:])
    tiers = TierConfig()
    edges = [round(edge * BINS_PER_NAT) for edge in (0, tiers.easy, tiers.medium, tiers.hard)]
    sums = [int(counts[low:high].sum()) for low, high in zip(edges, [*edges[1:], None], strict=True)]
    assert sums == [4, 2, 1, 2]
    assert trimmed(counts)[:2] == [2, 1]
    assert sum(trimmed(counts)) == len(entropy)
    assert trimmed(empty_histogram()) == []


@pytest.mark.parametrize("evaluation", [[], [5, 0, 0, 2] * 9])
def test_the_picture_is_a_png_of_its_own(tmp_path: Path, evaluation: list[int]) -> None:
    counts = {"bins_per_nat": 20, "train": [900, 20, 0, 5] * 20, "evaluation": evaluation}
    draw_histogram(counts, tmp_path / "plots" / "a.png")
    draw_histogram(counts, tmp_path / "b.png")
    draw_histogram(counts, tmp_path / "c.png", TierConfig(easy=0.2))
    first, same, other = (path.read_bytes() for path in sorted(tmp_path.rglob("*.png"), key=lambda path: path.name))
    assert first.startswith(b"\x89PNG")
    assert first == same != other


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"context_tokens": 64, "overlap_tokens": 64}, "overlap_tokens=64 must be below context_tokens=64"),
        ({"overlap_tokens": 0}, "overlap_tokens"),
        ({"context_tokens": 0}, "context_tokens"),
        ({"top_k": 1}, "top_k=1 leaves one token"),
        ({"top_k": -1}, "top_k"),
        ({"reserved_texts": ("<think>", "")}, "reserved_texts holds an empty text"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        EntropyConfig.model_validate(settings)
