"""Entropies against closed forms and float64, and the memory that they take."""

import math
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tasks.entropy.distribution import ELEMENTS, MIN_ROWS, rows_at_a_time, score


def head_of(width: int, vocabulary: int, scale: float = 1.0, bias: bool = False) -> torch.nn.Linear:
    torch.manual_seed(0)
    head = torch.nn.Linear(width, vocabulary, bias=bias)
    torch.nn.init.normal_(head.weight, std=scale)
    return head


@torch.inference_mode()
def scored(positions: int, head: torch.nn.Linear, **settings: Any) -> tuple[Any, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    hidden = torch.randn(positions, head.in_features)
    targets = torch.randint(0, head.out_features, (positions,))
    return score(hidden, targets, head, **settings), head(hidden).double(), targets


@pytest.mark.parametrize("scale", [0.01, 1.0, 8.0, 60.0])
@pytest.mark.parametrize("rows", [1, 7, 10_000])
@pytest.mark.parametrize(("vocabulary", "bias"), [(300, True), (40_000, False)])
def test_scores_are_those_of_a_float64_softmax(scale: float, rows: int, vocabulary: int, bias: bool) -> None:
    """Flat, usual and peaked distributions; also tokens too unlikely for a probability in float32."""
    scores, logits, targets = scored(50, head_of(16, vocabulary, scale, bias), rows=rows)
    logp = torch.log_softmax(logits, -1)
    torch.testing.assert_close(scores.entropy.double(), -(logp.exp() * logp).sum(-1), rtol=2e-5, atol=2e-5)
    torch.testing.assert_close(scores.log_prob.double(), logp.gather(1, targets[:, None])[:, 0], rtol=1e-5, atol=2e-5)
    assert torch.equal(scores.top_token, logits.argmax(-1))


def test_a_uniform_model_has_the_logarithm_of_its_vocabulary() -> None:
    head = torch.nn.Linear(8, 5_000, bias=False)
    torch.nn.init.zeros_(head.weight)
    scores, _, _ = scored(20, head, rows=6)
    torch.testing.assert_close(scores.entropy, torch.full((20,), math.log(5_000)))
    torch.testing.assert_close(scores.log_prob, torch.full((20,), -math.log(5_000)))
    scores, _, _ = scored(20, head, rows=6, top_k=16)
    torch.testing.assert_close(scores.entropy, torch.full((20,), math.log(16)))


def test_a_certain_model_has_none() -> None:
    """Two tokens at p and 1 - p have -p ln p - (1 - p) ln(1 - p); a sure one has 0, and never less."""
    head = torch.nn.Linear(1, 2, bias=False)
    head.weight.data = torch.tensor([[1.0], [0.0]])
    gaps = torch.tensor([[0.0], [1.0], [3.0], [200.0]])
    with torch.inference_mode():
        scores = score(gaps, torch.zeros(4, dtype=torch.long), head, rows=2)
    p = torch.sigmoid(gaps[:3, 0].double())
    wanted = -p * p.log() - (1 - p) * (1 - p).log()
    torch.testing.assert_close(scores.entropy[:3].double(), wanted, rtol=1e-6, atol=1e-6)
    assert scores.entropy[3] == 0
    assert (scores.entropy >= 0).all()


@pytest.mark.parametrize("top_k", [2, 16, 300])
def test_top_k_renormalises_the_likeliest(top_k: int) -> None:
    head = head_of(16, 300)
    scores, logits, targets = scored(40, head, rows=9, top_k=top_k)
    kept = torch.log_softmax(logits.topk(top_k).values, -1)
    torch.testing.assert_close(scores.entropy.double(), -(kept.exp() * kept).sum(-1), rtol=1e-5, atol=1e-5)
    whole = torch.log_softmax(logits, -1).gather(1, targets[:, None])[:, 0]
    torch.testing.assert_close(scores.log_prob.double(), whole, rtol=1e-5, atol=1e-5)


class Largest(TorchDispatchMode):
    """The largest tensor that any operation makes."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for each in made if isinstance(made, tuple | list) else (made,):
            if isinstance(each, torch.Tensor):
                self.elements = max(self.elements, each.numel())
        return made


@pytest.mark.parametrize("top_k", [0, 16])
@pytest.mark.parametrize("positions", [1_000, 4_000])
def test_memory_is_bounded_whatever_the_vocabulary_and_the_batch(positions: int, top_k: int) -> None:
    """Logits of all positions would be 40 to 160 million elements here; the weights are 320,000."""
    vocabulary = 40_000
    rows = rows_at_a_time(vocabulary, "cpu")
    head = head_of(8, vocabulary)
    with Largest() as largest:
        scored_here = score(torch.randn(positions, 8), torch.zeros(positions, dtype=torch.long), head, rows=rows)
    assert scored_here.entropy.shape == (positions,)
    assert largest.elements <= max(ELEMENTS["cpu"], MIN_ROWS * vocabulary) < positions * vocabulary / 7


@pytest.mark.parametrize(("vocabulary", "device"), [(640, "cpu"), (32_000, "cpu"), (151_936, "cpu"), (151_936, "cuda")])
def test_the_bound_holds_for_real_vocabularies(vocabulary: int, device: str) -> None:
    held = rows_at_a_time(vocabulary, device) * vocabulary
    assert held <= max(ELEMENTS[device], MIN_ROWS * vocabulary)
