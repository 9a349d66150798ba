"""Vendi score and self-BLEU: at their ends, by hand, and against a second way to compute them."""

import math

import numpy as np
import pytest

from tasks.errors import Permanent
from tasks.shared.diversity.self_bleu import self_bleu
from tasks.shared.diversity.vendi import DIMENSIONS, embedding_features, ngram_features, vendi_score, words


def test_copies_are_one_text_and_strangers_as_many_as_they_are() -> None:
    assert vendi_score(ngram_features(["a b c"] * 5)) == pytest.approx(1.0)
    assert vendi_score(np.eye(5)) == pytest.approx(5.0)
    strangers = [f"one{i} two{i} three{i} four{i}" for i in range(4)]
    assert vendi_score(ngram_features(strangers)) == pytest.approx(4.0, abs=0.05)


def test_two_halves_of_copies_are_two_texts_whatever_their_number() -> None:
    halves = np.repeat(np.eye(2), 50, axis=0)
    assert vendi_score(halves) == pytest.approx(2.0)
    # By hand: two texts of similarity s have eigenvalues (1 + s) / 2 and (1 - s) / 2.
    pair = np.array([[1.0, 0.0], [0.6, 0.8]])
    assert vendi_score(pair) == pytest.approx(math.exp(-(0.8 * math.log(0.8) + 0.2 * math.log(0.2))))


def test_more_texts_than_dimensions_have_the_same_score_by_the_smaller_product() -> None:
    features = np.random.default_rng(0).normal(size=(60, 20))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    shares = np.linalg.eigvalsh(features @ features.T / 60)
    shares = shares[shares > 1e-12]
    assert vendi_score(features) == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))


def test_the_kernel_is_the_mean_cosine_of_words_and_pairs_of_words() -> None:
    one, other = ngram_features(["Add 3 and 4", "add 3 and 5"])
    assert one @ one == pytest.approx(1.0)
    # 3 of 4 words and 2 of 3 pairs are common.
    assert one @ other == pytest.approx((3 / 4 + 2 / 3) / 2)
    assert ngram_features(["", "word"]).shape == (2, 2 * DIMENSIONS)


def test_self_bleu_is_1_for_copies_and_falls_with_what_others_do_not_say() -> None:
    text = words("we add the ones and then we add the tens")
    assert self_bleu([text] * 3) == pytest.approx(1.0)
    near, far = (
        words("we add the ones and then we add the rest"),
        words("guess ten , check , correct by two of them now"),
    )
    assert 1 > self_bleu([text, near]) > self_bleu([text, far])
    assert self_bleu([text, words("q r s")]) == 0.0


def test_self_bleu_by_hand() -> None:
    """a b c d against a b c e: 3 of 4 words; 2 of 3, 1 of 2 and 0 of 1 longer ones, one added to each side."""
    expected = (3 / 4 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25
    assert self_bleu(["a b c d".split(), "a b c e".split()]) == pytest.approx(expected)


def test_what_cannot_be_measured_is_said() -> None:
    with pytest.raises(ValueError, match="at least one text"):
        vendi_score(np.zeros((0, 3)))
    with pytest.raises(ValueError, match="got 1"):
        self_bleu([["a"]])


def test_embeddings_need_their_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sentence_transformers", None)
    with pytest.raises(Permanent, match=r"dataset.embedding is 'some-model'.*midtrain\[diversity\]"):
        embedding_features(["a"], "some-model")
