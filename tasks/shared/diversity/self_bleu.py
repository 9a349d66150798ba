"""Self-BLEU: how much of each text the others say (Zhu et al. 2018, arXiv 1802.01886); high where all are alike."""

import math
from collections import Counter
from collections.abc import Sequence

ORDER = 4
"""Longest n-grams, as in BLEU-4 (Papineni et al. 2002)."""

Ngrams = Counter[tuple[str, ...]]


def self_bleu(texts: Sequence[Sequence[str]]) -> float:
    """Mean BLEU-4 of each text, as words, against all others: 1 for copies.

    Raises:
        ValueError: there are fewer than two texts.
    """
    if len(texts) < 2:
        raise ValueError(f"self-BLEU compares texts with one another; got {len(texts)}")
    counted = [[_ngrams(text, order) for order in range(1, ORDER + 1)] for text in texts]
    scores = []
    for index, text in enumerate(texts):
        others = [number for number in range(len(texts)) if number != index]
        lengths = [len(texts[number]) for number in others]
        scores.append(_bleu(counted[index], [counted[number] for number in others], len(text), lengths))
    return sum(scores) / len(scores)


def _bleu(mine: Sequence[Ngrams], others: Sequence[Sequence[Ngrams]], length: int, lengths: Sequence[int]) -> float:
    """BLEU of one text; from two words on precisions have one added on both sides (Lin and Och 2004), as single texts
    have few long n-grams.
    """
    if not length:
        return 0.0
    logarithm = 0.0
    for order, grams in enumerate(mine):
        hits = sum(min(count, max(other[order][gram] for other in others)) for gram, count in grams.items())
        added = int(order > 0)
        if not hits + added:
            return 0.0
        logarithm += math.log((hits + added) / (grams.total() + added)) / ORDER
    closest = min(lengths, key=lambda other: (abs(other - length), other))
    return math.exp(logarithm + min(0.0, 1 - closest / length))


def _ngrams(text: Sequence[str], order: int) -> Ngrams:
    return Counter(zip(*(text[start:] for start in range(order)), strict=False))
