"""The likelihood ratio against the plain definition, and what it says about real text."""

import statistics
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tasks.errors import Permanent
from tasks.filter.adherence import likelihood_ratio as scorer_module
from tasks.filter.adherence.likelihood_ratio import LikelihoodRatio
from tasks.filter.adherence.protocol import ScoreRequest
from tasks.generate.heuristics import load_heuristics
from tasks.shared.engines.protocol import Request, Sampling
from tasks.shared.engines.transformers_engine import TransformersEngine
from tasks.shared.prompts.config import PromptConfig
from tasks.shared.prompts.render import Renderer
from tasks.tiny.problems import generate_problems
from tests.support.paths import TINY_MODEL
from tests.support.small_world import TINY
from tests.support.talking_model import save_capped_model, save_talking_model

pytestmark = pytest.mark.slow


def scorer(model: Path, tokens_per_batch: int = 4096) -> LikelihoodRatio:
    return LikelihoodRatio(model, device="cpu", dtype="float32", tokens_per_batch=tokens_per_batch)


def by_definition(model_path: Path, prompt: str, completion: str) -> tuple[float, int]:
    """Sum of the log-probabilities of the completion's tokens, one sequence at a time, from full logits."""
    tokenizer = AutoTokenizer.from_pretrained(model_path)
    model = AutoModelForCausalLM.from_pretrained(model_path).eval()
    start = tokenizer(prompt)["input_ids"]
    end = tokenizer(completion, add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        logits = model(torch.tensor([start + end])).logits[0].log_softmax(-1)
    return sum(logits[len(start) + i - 1, token].item() for i, token in enumerate(end)), len(end)


@pytest.fixture(scope="module")
def requests() -> list[ScoreRequest]:
    """Completions of many lengths, an empty one too, under prompts that share a long beginning."""
    renderer = Renderer(PromptConfig(style="plain", heuristic_template="{instruction}\nProblem: {question} {name}"))
    heuristics = [
        heuristic.model_copy(update={"instruction": heuristic.instruction[:90]})
        for heuristic in load_heuristics("polya16")[:2]
    ]
    return [
        ScoreRequest(
            key=f"{heuristic.name}-{index}",
            question="How many? " * (1 + index % 3),
            heuristic=heuristic.name,
            prompt=renderer.heuristic(heuristic, "How many? " * (1 + index % 3)),
            plain=renderer.plain("How many? " * (1 + index % 3)),
            completion=" the sum is 42" * index,
        )
        for heuristic in heuristics
        for index in range(6)
    ]


@pytest.mark.parametrize("tokens_per_batch", [1, 700, 100_000])
@pytest.mark.parametrize("shared", [8, 10_000])
def test_scores_are_those_of_the_definition(
    tmp_path: Path,
    requests: list[ScoreRequest],
    tokens_per_batch: int,
    shared: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With and without a shared cache, whatever the batches; of logits only those of the completions' tokens exist,
    and no more at once than the bound."""
    monkeypatch.setattr(scorer_module, "SHORTEST_SHARED", shared)
    monkeypatch.setattr(scorer_module, "LOGIT_ELEMENTS", 320 * 7)
    model = save_talking_model(tmp_path, begin=True)
    scoring, logits = scorer(model, tokens_per_batch), list[tuple[int, ...]]()
    scoring._model.lm_head.register_forward_hook(lambda _module, _input, output: logits.append(tuple(output.shape)))
    scores = scoring.score(requests)
    assert max(positions * words for positions, words in logits) <= 320 * 7
    assert sum(positions for positions, _ in logits) == 2 * sum(score.tokens for score in scores)
    assert [score.key for score in scores] == [request.key for request in requests]
    for request, score in zip(requests, scores, strict=True):
        named, tokens = by_definition(model, request.prompt, request.completion)
        plain, _ = by_definition(model, request.plain, request.completion)
        assert score.tokens == tokens
        assert score.adherence == pytest.approx((named - plain) / max(tokens, 1), abs=1e-4)


def test_text_that_follows_its_heuristic_scores_higher() -> None:
    """The model's own solutions, scored under the heuristic they were written for and under another one."""
    renderer, heuristics = Renderer(TINY), {item.name: item for item in load_heuristics("tiny")}
    asked = [
        (problem.question, name, other)
        for problem in generate_problems("dev", 12, seed=3)
        for name, other in (("working backward", "analogy"), ("decomposition", "working backward"))
    ]
    engine = TransformersEngine(TINY_MODEL, device="cpu", dtype="float32", batch_size=64)
    wanted = [
        Request(str(i), renderer.heuristic(heuristics[name], question), i)
        for i, (question, name, _) in enumerate(asked)
    ]
    written = {int(item.key): item.text for item in engine.stream(wanted, Sampling(temperature=0, max_new_tokens=96))}

    def scores(which: int) -> list[float]:
        items = [
            ScoreRequest(
                key=str(i),
                question=item[0],
                heuristic=item[which],
                prompt=renderer.heuristic(heuristics[item[which]], item[0]),
                plain=renderer.plain(item[0]),
                completion=written[i],
            )
            for i, item in enumerate(asked)
        ]
        return [score.adherence for score in scorer(TINY_MODEL).score(items)]

    own, other = scores(1), scores(2)
    assert statistics.mean(own) > 0.02
    assert sum(a > b for a, b in zip(own, other, strict=True)) >= 0.9 * len(own)


def test_a_broken_model_scores_nothing(tmp_path: Path) -> None:
    save_talking_model(tmp_path)
    broken = scorer(tmp_path)
    broken._model.get_output_embeddings().weight.data[7] = float("nan")
    with pytest.raises(Permanent, match=r"not finite in torch\.float32.*runtime\.dtype=float32"):
        list(broken.score([ScoreRequest("0", "the sum", "analogy", "the sum", "the", " of")]))


def test_a_model_that_rescales_its_logits_is_refused(tmp_path: Path) -> None:
    save_capped_model(tmp_path)
    with pytest.raises(Permanent, match=r"Gemma2ForCausalLM, which rescales its logits; set filter\.scorer\.type"):
        scorer(tmp_path)
