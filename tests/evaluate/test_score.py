"""Styles of answers: counted where a benchmark says how to tell them, whatever the questions carry along."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tasks.evaluate import config as configuration
from tasks.evaluate.config import Benchmark, EvaluateConfig, benchmark
from tasks.evaluate.score import score
from tasks.spine.store.fingerprint import fingerprint

ANSWERS = (" Step 1+1=2\n#### 2", " Split 1 and 1\n#### 2", " Step 2\n#### 2", "")


def row(name: str, index: int, completion: str, meta: dict[str, str]) -> dict[str, Any]:
    return {
        "benchmark": name,
        "question_id": "q",
        "sample_index": index,
        "completion": completion,
        "verdict": "correct",
        "vote": "2",
        "finish_reason": "stop",
        "completion_tokens": 5,
        "meta": json.dumps(meta),
    }


def styles(name: str, answers: tuple[str, ...] = ANSWERS, **meta: str) -> dict[str, dict[str, float]]:
    config = EvaluateConfig(benchmarks=(name,), samples=len(answers), greedy=False, resamples=100)
    return score((row(name, index, text, meta) for index, text in enumerate(answers)), config)["styles"]


def test_shares_of_the_styles_that_the_benchmark_names() -> None:
    assert styles("tiny-test") == {"tiny-test": {"step": 0.5, "decomposition": 0.25, "other": 0.25}}
    assert styles("tiny-test", ("No", "Stepwise")) == {}


def test_a_completion_that_was_cut_is_not_counted_as_unread_too() -> None:
    rows = [row("gsm8k", index, "", {}) | {"verdict": "unparsed"} for index in range(4)]
    rows[0] |= {"finish_reason": "length"}
    rows[1] |= {"finish_reason": "rejected"}
    scores = score(rows, EvaluateConfig(samples=4, greedy=False, resamples=100))["scores"]["gsm8k"]
    assert (scores["truncated_share"], scores["unparsed_share"]) == (0.25, 0.75)


def test_a_model_that_ends_at_once_is_told_by_its_empty_completions_greedy_ones_too() -> None:
    texts = ("#### 2", " \n", "#### 2", "#### 2")
    rows = [row("gsm8k", index, text, {}) for index, text in enumerate(texts)] + [row("gsm8k", -1, "", {})]
    assert score(rows, EvaluateConfig(samples=4, resamples=100))["scores"]["gsm8k"]["empty_share"] == 0.4


def test_completions_that_use_two_styles_are_composed() -> None:
    config = EvaluateConfig(benchmarks=("tiny-test",), samples=4, greedy=False, resamples=100)
    texts = (" Step 1. Split 2\n#### 2", " Step 1. Step 2\n#### 2", " Guess Let Split", "")
    rows = [row("tiny-test", index, text, {}) for index, text in enumerate(texts)]
    assert score(rows, config)["composition"] == {"tiny-test": 0.5}
    assert score([one | {"benchmark": "gsm8k"} for one in rows], config)["composition"] == {}


def test_the_vote_of_the_samples_is_scored_beside_them() -> None:
    votes = ("2", "2", "3", None)
    rows = [row("gsm8k", index, "", {}) | {"vote": vote} for index, vote in enumerate(votes)]
    for one, verdict in zip(rows, ("correct", "correct", "wrong", "unparsed"), strict=True):
        one["verdict"] = verdict
    rows.append(rows[0] | {"sample_index": -1})
    scores = score(rows, EvaluateConfig(samples=4, resamples=100))["scores"]["gsm8k"]
    assert (scores["pass@1"], scores["maj@4"], scores["maj@4_high"]) == (0.5, 1.0, 1.0)
    assert "maj@2" not in scores
    assert not any(name.startswith("best@") for name in scores)


def test_the_reward_models_choice_is_scored_where_there_is_one() -> None:
    rows = [row("gsm8k", index, "", {}) | {"reward": reward} for index, reward in enumerate((0.1, 2.0, None, -1.0))]
    for one, verdict in zip(rows, ("correct", "correct", "wrong", "wrong"), strict=True):
        one["verdict"] = verdict
    scores = score(rows, EvaluateConfig(samples=4, greedy=False, resamples=100))["scores"]["gsm8k"]
    assert scores["best@2"] == pytest.approx(5 / 6)
    assert (scores["best@4"], scores["best@4_high"]) == (1.0, 1.0)


def test_questions_of_a_user_never_ask_for_styles() -> None:
    assert styles("gsm8k", family="algebra", style="step", source="the Smith family") == {}


def key(*names: str) -> str:
    return fingerprint("evaluate", 1, EvaluateConfig(benchmarks=names), {})


def test_styles_count_in_the_identity_of_evaluations_that_tell_them_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {name: key(name) for name in ("tiny-test", "gsm8k")}
    assert "styles" not in EvaluateConfig(benchmarks=("gsm8k",)).identity_payload()

    def fewer(name: str) -> Benchmark:
        return benchmark(name).model_copy(update={"styles": {}})

    monkeypatch.setattr(configuration, "benchmark", fewer)
    assert {name: key(name) == before[name] for name in before} == {"tiny-test": False, "gsm8k": True}


def test_a_part_of_a_benchmark_is_asked_and_its_place_is_no_identity() -> None:
    config = EvaluateConfig(benchmarks=("svamp",), sources={"svamp": "here.jsonl"}, parts={"svamp": "70-100"}, limit=9)
    asked = config.questions("svamp")
    assert (asked.source, asked.part, asked.limit) == ("here.jsonl", "70-100", 9)
    moved = config.model_copy(update={"sources": {"svamp": "there.jsonl"}})
    assert moved.identity_payload() == config.identity_payload()


def test_a_part_of_no_benchmark_is_refused() -> None:
    with pytest.raises(ValidationError, match="no benchmark 'svmap'"):
        EvaluateConfig(parts={"svmap": "70-100"})


def test_a_benchmark_of_ones_own_is_a_file_of_data_or_a_definition(tmp_path: Path) -> None:
    definition = tmp_path / "mine.yaml"
    definition.write_text(
        "title: Mine\nquestions: {source: a.csv, fields: {question: q, answer: a}}\nstyles: {s: Step}\n"
    )
    sources = {"plain": "data/b.jsonl", "mine": str(definition)}
    config = EvaluateConfig(benchmarks=("plain", "mine", "gsm8k"), sources=sources, limit=5)
    plain, mine = config.questions("plain"), config.questions("mine")
    assert (plain.source, plain.label(), plain.mapping().question, plain.limit) == (
        "data/b.jsonl",
        "plain",
        "question",
        5,
    )
    assert (mine.source, mine.mapping().question) == ("a.csv", "q")
    assert config.identity_payload()["styles"] == {"mine": {"s": "Step"}}
    moved = config.model_copy(update={"sources": sources | {"plain": "c.jsonl"}})
    assert moved.identity_payload() == config.identity_payload()
    for wrong in ({"benchmarks": ("gsm9k",)}, {"sources": {"gsm9k": "a.jsonl"}}, {"parts": {"gsm9k": "0-50"}}):
        with pytest.raises(ValidationError, match=r"no benchmark 'gsm9k'; did you mean 'gsm8k'\?"):
            EvaluateConfig.model_validate(wrong)
    with pytest.raises(ValidationError, match="is no name"):
        EvaluateConfig(benchmarks=("a/b",), sources={"a/b": "c.jsonl"})


def test_only_benchmarks_of_code_have_the_sandbox_in_their_identity() -> None:
    plain, code = (EvaluateConfig(benchmarks=(name,)) for name in ("gsm8k", "humaneval"))
    changed = {"sandbox": plain.sandbox.model_copy(update={"cpu_s": 9})}
    assert plain.model_copy(update=changed).identity_payload() == plain.identity_payload()
    assert code.model_copy(update=changed).identity_payload() != code.identity_payload()
    assert not {"sandbox", "scoring", "styles"} & set(plain.identity_payload())


def test_a_raised_version_is_another_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {name: key(name) for name in ("gsm8k", "gpqa")}
    raised = benchmark("gpqa").model_copy(update={"version": 2})
    monkeypatch.setattr(configuration, "benchmark", lambda name: raised if name == "gpqa" else benchmark(name))
    assert {name: key(name) == before[name] for name in before} == {"gsm8k": True, "gpqa": False}


def test_a_benchmark_says_how_its_answers_are_stated_where_the_prompt_does_not() -> None:
    prompt = EvaluateConfig().prompt
    assert benchmark("aime25").prompt(prompt) == prompt
    assert "letter" in benchmark("gpqa").prompt(prompt).answer_instruction
    assert "fenced block" in benchmark("mbpp").prompt(prompt).answer_instruction
