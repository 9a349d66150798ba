"""The base that overthinks: the model writes far more than the work takes, and is no less right for it."""

import json

import pytest

from tasks.tiny import MODEL_DIR, OVERTHINK_MODEL_DIR, THINK_MODEL_DIR
from tasks.tiny.make.measure import MEASURED_NAME, best_named
from tasks.tiny.make.measure_thinking import TIERS, measure_thinking
from tasks.tiny.make.sampling import load
from tasks.tiny.make.think import KINDS, ThinkConfig
from tasks.tiny.make.think_card import lengths_table, mixed_table, predictions_table, solved_table, waste_line

LEVELS = KINDS["overthinking"].predictions.thinking
MEASURED = json.loads((OVERTHINK_MODEL_DIR / MEASURED_NAME).read_text())
FIRST = json.loads((MODEL_DIR / MEASURED_NAME).read_text())
THINKING = MEASURED["thinking"]


def test_files_and_configuration_are_those_that_ship() -> None:
    files = [path for path in OVERTHINK_MODEL_DIR.iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 8_000_000
    assert {path.suffix for path in files} == {".json", ".md", ".safetensors"}
    made = json.loads((OVERTHINK_MODEL_DIR / "training.json").read_text())
    assert ThinkConfig.model_validate(made["config"]) == KINDS["overthinking"]
    model, tokenizer = load(OVERTHINK_MODEL_DIR)
    assert (model.num_parameters(), len(tokenizer)) == (made["parameters"], made["vocabulary"])
    assert model.generation_config.max_new_tokens == LEVELS.longest + 32
    thinking, other = load(THINK_MODEL_DIR)
    assert other.get_vocab() == tokenizer.get_vocab()
    assert not thinking.get_input_embeddings().weight.equal(model.get_input_embeddings().weight)


def test_the_card_states_what_was_measured() -> None:
    card = (OVERTHINK_MODEL_DIR / "README.md").read_text()
    for table in (predictions_table, lengths_table, mixed_table, waste_line):
        assert table(THINKING) in card
    assert solved_table(MEASURED, FIRST) in card
    assert "--kind overthinking" in card


def test_it_still_solves_problems_where_a_method_is_named() -> None:
    for split in ("dev", "test"):
        here, there = (found[split] for found in (MEASURED, FIRST))
        assert here["plain"]["all"]["greedy"][0] < 50, "the habit stays poor"
        assert best_named(here["named"], "greedy") > best_named(there["named"], "greedy") - 5


def test_what_is_long_is_waste_and_not_error() -> None:
    found = THINKING["budgets"]["none"]
    assert found["mean_length"] > 5 * THINKING["useful_length"]
    assert found["unclosed"] < 2
    lengths = found["lengths"]
    assert lengths["longer"]["share"] + lengths["long"]["share"] > 50
    for name in ("long", "longer"):
        assert lengths[name]["right"][0] > lengths["short"]["right"][0] - 15
        assert lengths[name]["right"][0] > lengths["guess"]["right"][0] + 20


def test_there_is_something_to_learn() -> None:
    for budget, found in THINKING["budgets"].items():
        assert all(found["mixed_groups"][tier][0] > 40 for tier in TIERS), budget
        assert found["lengths"]["short"]["share"] > 1, "work alone is there to be found"
    lengths = {budget: found["mean_length"] for budget, found in THINKING["budgets"].items()}
    assert lengths["16"] > 2.5 * THINKING["useful_length"], "a budget is followed only weakly"


def test_it_thinks_several_times_as_long_as_the_work_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.tiny.make.measure_thinking.BUDGETS", (None,))
    found = measure_thinking(*load(OVERTHINK_MODEL_DIR), "evaluation", 10, 2)
    assert 5 < found["useful_length"] < 40
    assert found["budgets"]["none"]["mean_length"] > 3 * found["useful_length"]
