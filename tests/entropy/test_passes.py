"""Whole documents through a real model, against one plain forward pass for each position."""

from pathlib import Path

import numpy as np
import pytest

from tasks.entropy.config import EntropyConfig
from tasks.entropy.encoding import Encoded
from tasks.entropy.passes import score_documents
from tasks.errors import Permanent
from tasks.shared.next_token.windows import windows
from tests.support.corpus import encoded, load, plainly

VOCABULARY = 258
LENGTHS = [2, 3, 9, 10, 11, 17, 31, 40]


@pytest.mark.parametrize("top_k", [0, 16])
@pytest.mark.parametrize(("context", "overlap"), [(10, 4), (64, 8), (2, 1)])
def test_every_position_is_what_a_naive_softmax_says(
    random_model: Path, context: int, overlap: int, top_k: int
) -> None:
    """Positions are predicted from what `context_start` says, within windows and without."""
    model, config = load(random_model), EntropyConfig(context_tokens=context, overlap_tokens=overlap, top_k=top_k)
    documents = encoded(LENGTHS, VOCABULARY)
    for document, result in zip(documents, score_documents(model, documents, config, 50), strict=True):
        assert result.document is document
        starts = result.context_start.tolist()
        for window in windows(len(document.tokens), context, overlap):
            assert starts[window.first : window.end] == [window.start] * (window.end - window.first)
        entropy, log_prob, top = plainly(model, document, starts, config)
        assert np.isnan(result.entropy[0])
        assert np.isnan(result.log_prob[0])
        assert result.top_token[0] == -1
        np.testing.assert_allclose(result.entropy[1:], entropy, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(result.log_prob[1:], log_prob, rtol=1e-4, atol=1e-4)
        assert (result.top_token[1:] == top).mean() > 0.98


def test_neighbours_in_a_pass_change_nothing(random_model: Path) -> None:
    model, config = load(random_model), EntropyConfig(context_tokens=12, overlap_tokens=5)
    documents = encoded(LENGTHS, VOCABULARY, seed=3)
    alone = [score_documents(model, [document], config, 1)[0] for document in documents]
    for tokens_per_pass in (1, 37, 10_000):
        for order in (documents, documents[::-1]):
            results = score_documents(model, order, config, tokens_per_pass)
            by_id = {result.document.document_id: result for result in results}
            assert list(by_id) == [document.document_id for document in order]
            for single in alone:
                found = by_id[single.document.document_id]
                np.testing.assert_allclose(found.entropy, single.entropy, rtol=1e-5, atol=1e-5)
                np.testing.assert_allclose(found.log_prob, single.log_prob, rtol=1e-5, atol=1e-5)
                np.testing.assert_array_equal(found.context_start, single.context_start)


def test_tokens_of_another_model_are_refused(random_model: Path) -> None:
    stranger = Encoded("a", "train", 0, np.array([3, 258], dtype=np.int32))
    with pytest.raises(Permanent, match=r"token 258, but the model has only 258 of them"):
        score_documents(load(random_model), [stranger], EntropyConfig(), 100)


def test_a_broken_model_is_refused(random_model: Path) -> None:
    model = load(random_model)
    model.get_output_embeddings().weight.data[7] = float("nan")
    with pytest.raises(Permanent, match=r"not finite in torch\.float32"):
        score_documents(model, encoded([5], VOCABULARY), EntropyConfig(), 100)
