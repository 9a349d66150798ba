"""The base that thinks, as it ships: it closes its thinking and predicts, work pays, and there is room for RL."""

import json

import pytest
import torch

from tasks.tiny import MODEL_DIR, THINK_MODEL_DIR
from tasks.tiny.make.accuracy import answer_of
from tasks.tiny.make.measure import MEASURED_NAME, best_named
from tasks.tiny.make.measure_thinking import (
    GROUP_SIZE,
    TIERS,
    MeasuredPosition,
    ThinkingOutcome,
    measure_thinking,
    outcome_of,
    sample_outcomes,
    thinks,
    uncertain_positions,
)
from tasks.tiny.make.sampling import complete, load
from tasks.tiny.make.think import ThinkConfig
from tasks.tiny.make.think_card import lengths_table, mixed_table, predictions_table, solved_table
from tasks.tiny.problems import generate_problems
from tasks.tiny.styles import plain_prompt
from tasks.tiny.texts import documents

MEASURED = json.loads((THINK_MODEL_DIR / MEASURED_NAME).read_text())
FIRST = json.loads((MODEL_DIR / MEASURED_NAME).read_text())
THINKING = MEASURED["thinking"]


def test_it_is_under_eight_megabytes_and_safetensors_only() -> None:
    files = [path for path in THINK_MODEL_DIR.iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 8_000_000
    assert {path.suffix for path in files} == {".json", ".md", ".safetensors"}


def test_the_shipped_configuration_is_the_default_one() -> None:
    made = json.loads((THINK_MODEL_DIR / "training.json").read_text())
    assert ThinkConfig.model_validate(made["config"]) == ThinkConfig()


def test_it_loads_as_a_plain_model_with_the_tags_as_tokens() -> None:
    model, tokenizer = load(THINK_MODEL_DIR)
    assert model.dtype == torch.float32
    assert thinks(tokenizer)
    assert not thinks(load(MODEL_DIR)[1])
    for owner in (model.config, model.generation_config):
        assert (owner.eos_token_id, owner.pad_token_id) == (tokenizer.eos_token_id, tokenizer.pad_token_id)


def test_the_card_states_what_was_measured() -> None:
    card = (THINK_MODEL_DIR / "README.md").read_text()
    for table in (predictions_table, lengths_table, mixed_table):
        assert table(THINKING) in card
    assert solved_table(MEASURED, FIRST) in card


def test_it_solves_problems_as_well_as_the_first_base() -> None:
    for split in ("dev", "test"):
        here, there = (found[split]["plain"]["all"] for found in (MEASURED, FIRST))
        assert here["greedy"][0] > there["greedy"][0] - 5
        assert here["pass@8"][0] > there["pass@8"][0] - 7
        assert here["greedy"][0] < 50, "the habit stays poor"
        assert best_named(MEASURED[split]["named"], "greedy") > best_named(FIRST[split]["named"], "greedy") - 4


def test_there_is_something_to_learn() -> None:
    assert all(THINKING["positions"][tier] > 0.2 * THINKING["documents"] for tier in TIERS)
    assert THINKING["digits"]["hard"][0] > 90, "hard places are numbers, not noise"
    for budget, found in THINKING["budgets"].items():
        for tier in ("medium", "hard"):
            assert 20 < found["tiers"][tier][0] < 60, (budget, tier)
            assert found["mixed_groups"][tier][0] > 60, (budget, tier)
        guess, short, *longer = (found["lengths"][name] for name in ("guess", "short", "middle", "long"))
        assert short["right"][0] > guess["right"][0] + 30
        assert all(level["right"][0] > guess["right"][0] + 10 for level in longer)
        assert all(level["share"] > 3 for level in (guess, short, *longer)), "all lengths at any budget"
        assert found["unclosed"] < 2


@pytest.mark.slow
def test_it_thinks_closes_and_predicts_as_the_card_says() -> None:
    found = measure_thinking(*load(THINK_MODEL_DIR), "evaluation", 40, 4)
    for tier in TIERS:
        share = found["positions"][tier] / found["documents"]
        assert share == pytest.approx(THINKING["positions"][tier] / THINKING["documents"], rel=0.5)
    for budget, row in found["budgets"].items():
        assert row["unclosed"] < 4
        mean = sum(rate[0] for rate in row["tiers"].values()) / len(TIERS)
        stated = sum(rate[0] for rate in THINKING["budgets"][budget]["tiers"].values()) / len(TIERS)
        assert mean == pytest.approx(stated, abs=20)


@pytest.mark.slow
def test_greedy_accuracy_is_what_the_card_says() -> None:
    model, tokenizer = load(THINK_MODEL_DIR)
    problems = generate_problems("dev", 210, seed=0)
    texts = complete(model, tokenizer, [plain_prompt(p.question) for p in problems], samples=0, seed=0)
    right = 100 * sum(answer_of(t[0]) == p.answer for t, p in zip(texts, problems, strict=True)) / len(problems)
    assert right == pytest.approx(MEASURED["dev"]["plain"]["all"]["greedy"][0], abs=3)


def test_positions_are_those_after_the_given_text() -> None:
    model, tokenizer = load(THINK_MODEL_DIR)
    texts = documents("evaluation", 6, seed=0)
    found = uncertain_positions(model, tokenizer, texts)
    assert found
    for position in found:
        document = next(d for d in texts if d.text.startswith(position.context + position.target))
        assert len(position.context) >= document.given_chars
        assert position.entropy >= 0.5
    outcomes = sample_outcomes(model, tokenizer, found[:2], 16, GROUP_SIZE)
    assert [len(group) for group in outcomes] == [GROUP_SIZE] * 2


@pytest.mark.parametrize(
    ("completion", "expected"),
    [
        ("3+4=7:|7</think>7<|endoftext|><|pad|>", (8, True, True)),
        ("3+4=7:|7</think>7", (8, True, False)),
        ("</think>7<|endoftext|>", (0, True, True)),
        ("|7</think>77<|endoftext|>", (2, True, False)),
        ("|7</think> 7<|endoftext|>", (2, True, False)),
        ("|7<|endoftext|><|pad|>", (2, False, False)),
        ("|7777", (5, False, False)),
    ],
)
def test_what_counts_as_a_right_prediction(completion: str, expected: tuple[int, bool, bool]) -> None:
    _, tokenizer = load(THINK_MODEL_DIR)
    position = MeasuredPosition("A: Step 3+4=", "7", 2.0, False, 2)
    found = outcome_of(position, tokenizer(completion)["input_ids"], tokenizer)
    assert found == ThinkingOutcome(position, *expected)
