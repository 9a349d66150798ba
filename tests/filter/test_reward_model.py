"""The reward model against the classifier's own reading of one conversation at a time."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tasks.errors import Permanent
from tasks.filter.adherence.config import RewardModelScorer
from tasks.filter.adherence.protocol import ScoreRequest
from tasks.filter.adherence.reward_model import RewardModel
from tasks.generate.heuristics import load_heuristics
from tasks.shared.models.causal_lm import check_architecture, load_classifier
from tests.support.classifier import save_classifier
from tests.support.talking_model import save_talking_model

CONFIG = RewardModelScorer.model_validate({"model": {"source": "reward"}}).following(load_heuristics("tiny"))
REQUESTS = [
    ScoreRequest(str(number), "What is 12 and 30?", "analogy", "", "", " the sum is 42" * number)
    for number in (3, 0, 7, 1, 400)
]


def reward_model(folder: Path, tokens_per_batch: int = 1000) -> RewardModel:
    return RewardModel(CONFIG, folder, device="cpu", dtype="float32", tokens_per_batch=tokens_per_batch)


@pytest.mark.parametrize("pads", [True, False])
@pytest.mark.parametrize("tokens_per_batch", [1, 100_000])
def test_scores_are_the_classifiers_own_and_what_its_context_does_not_hold_has_none(
    tmp_path: Path, tokens_per_batch: int, pads: bool
) -> None:
    folder = save_classifier(tmp_path, pads=pads)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    scores = reward_model(folder, tokens_per_batch).score(REQUESTS)
    assert [score.key for score in scores] == ["3", "0", "7", "1"]
    for request, score in zip(REQUESTS, scores, strict=False):
        asked = "What is 12 and 30?\n\nSolve this problem with the heuristic “analogy”. "
        turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": request.completion.strip()}]
        ids = tokenizer.apply_chat_template(turns, return_tensors="pt", return_dict=False)
        with torch.inference_mode():
            assert score.adherence == pytest.approx(model(ids).logits.item(), abs=1e-5)
        assert score.tokens == ids.shape[1]
    assert len({score.adherence for score in scores}) == 4


def test_a_language_model_has_no_head_to_score_with_and_none_is_drawn(tmp_path: Path) -> None:
    folder = save_talking_model(tmp_path / "language")
    for look in (lambda: check_architecture(folder, classifies=True), lambda: load_classifier(folder, dtype="float32")):
        with pytest.raises(Permanent, match=r"drawn at random\): score\.weight"):
            look()
    check_architecture(save_classifier(tmp_path / "classifier"), classifies=True)


def test_what_is_no_reward_model_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Permanent, match=r"filter\.scorer\.model\.source: .* has 3 labels; a reward model has one"):
        reward_model(save_classifier(tmp_path / "three", labels=3))
    with pytest.raises(Permanent, match=r"filter\.scorer\.model\.source: .* has no chat template"):
        reward_model(save_classifier(tmp_path / "plain", chat=False))


def test_a_heuristic_that_the_scorer_was_not_told_of_is_named(tmp_path: Path) -> None:
    request = ScoreRequest("0", "What?", "symmetry", "", "", "42")
    with pytest.raises(Permanent, match=r"under 'symmetry', .*generate\.heuristics has 'analogy', .*set it to"):
        reward_model(save_classifier(tmp_path)).score([request])
