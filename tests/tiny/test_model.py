"""The base model that ships with the project: small, loadable as it is, and as good as its card says."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig

from tasks.tiny import MODEL_DIR, OVERTHINK_MODEL_DIR, THINK_MODEL_DIR
from tasks.tiny.make.accuracy import answer_of, mean_and_error, pass_at
from tasks.tiny.make.base import TRAINING_NAME, BaseConfig
from tasks.tiny.make.card import write_card
from tasks.tiny.make.measure import MEASURED_NAME, best_named, plain_table
from tasks.tiny.make.sampling import complete, load
from tasks.tiny.problems import TRAINED_FAMILIES, generate_problems
from tasks.tiny.styles import METHODS, STYLES, SUITED, completion, named_prompt, plain_prompt, style_of

MEASURED = json.loads((MODEL_DIR / MEASURED_NAME).read_text())


def test_it_is_under_eight_megabytes_and_safetensors_only() -> None:
    files = [path for path in MODEL_DIR.iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 8_000_000
    assert {path.suffix for path in files} == {".json", ".md", ".safetensors"}


def test_it_is_a_plain_llama_with_its_own_end_and_padding() -> None:
    config = AutoConfig.from_pretrained(MODEL_DIR)
    model, tokenizer = load(MODEL_DIR)
    assert config.architectures == ["LlamaForCausalLM"]
    assert config.hidden_size // config.num_attention_heads in (32, 64)
    assert model.dtype == torch.float32
    assert tokenizer.padding_side == "left"
    for owner in (config, model.generation_config):
        assert (owner.eos_token_id, owner.pad_token_id) == (tokenizer.eos_token_id, tokenizer.pad_token_id)
    assert tokenizer.eos_token_id != tokenizer.pad_token_id


def test_the_shipped_configuration_is_the_default_one() -> None:
    made = json.loads((MODEL_DIR / "training.json").read_text())
    assert BaseConfig.model_validate(made["config"]) == BaseConfig()


def test_the_card_states_what_was_measured() -> None:
    card = (MODEL_DIR / "README.md").read_text()
    for split in ("dev", "test", "ood"):
        assert plain_table(MEASURED[split]["plain"]) in card
        assert f"{best_named(MEASURED[split]['named'], 'greedy')} % greedy" in card
    assert all(name in card for name in METHODS.values())


@pytest.mark.parametrize("shipped", [MODEL_DIR, THINK_MODEL_DIR, OVERTHINK_MODEL_DIR], ids=lambda folder: folder.name)
def test_the_shipped_card_is_the_one_that_is_written_from_the_measurements(shipped: Path, tmp_path: Path) -> None:
    for name in (TRAINING_NAME, MEASURED_NAME):
        shutil.copy(shipped / name, tmp_path)
    write_card(tmp_path)
    assert (tmp_path / "README.md").read_text() == (shipped / "README.md").read_text()


def test_there_is_room_for_the_method() -> None:
    """What the world was built for: the habit is poor, the best method of each family is good."""
    for split in ("dev", "test"):
        overall = MEASURED[split]["plain"]["all"]
        assert overall["greedy"][0] < 50
        assert overall["pass@8"][0] > overall["pass@1"][0] + 15
        assert best_named(MEASURED[split]["named"], "greedy") > overall["greedy"][0] + 25


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (" Step 1.\n#### 42", "42"),
        ("#### 7 ", "7"),
        ("#### 7\n#### -8", "-8"),
        ("42", None),
        ("#### 4 2", None),
        ("", None),
    ],
)
def test_answer_of(text: str, answer: str | None) -> None:
    assert answer_of(text) == answer


def test_pass_at_k_and_its_mean() -> None:
    assert [pass_at(1, 8, 2), pass_at(8, 8, 1), pass_at(8, 8, 0)] == [0.25, 1.0, 0.0]
    assert pass_at(2, 4, 1) == pytest.approx(0.5)
    assert mean_and_error([1.0, 0.0, 1.0, 0.0]) == (50.0, 28.9)


@pytest.mark.slow
def test_greedy_accuracy_is_what_the_card_says() -> None:
    model, tokenizer = load(MODEL_DIR)
    problems = generate_problems("dev", 30 * len(TRAINED_FAMILIES), seed=0)
    texts = complete(model, tokenizer, [plain_prompt(p.question) for p in problems], samples=0, seed=0)
    right = 100 * sum(answer_of(t[0]) == p.answer for t, p in zip(texts, problems, strict=True)) / len(problems)
    assert right == pytest.approx(MEASURED["dev"]["plain"]["all"]["greedy"][0], abs=3)


@pytest.mark.slow
@pytest.mark.parametrize("style", STYLES)
def test_a_named_method_is_followed_and_pays_where_it_suits(style: str) -> None:
    model, tokenizer = load(MODEL_DIR)
    problems = generate_problems("dev", 30 * len(TRAINED_FAMILIES), seed=1)
    prompts = [named_prompt(p.question, style) for p in problems]
    texts = [t[0] for t in complete(model, tokenizer, prompts, samples=1, seed=0)]
    assert sum(style_of(text) == style for text in texts) >= 0.95 * len(texts)
    suited = [answer_of(t) == p.answer for t, p in zip(texts, problems, strict=True) if style in SUITED[p.family]]
    assert not suited or sum(suited) > 0.4 * len(suited)


def test_solutions_are_short_enough_for_the_pipeline() -> None:
    _, tokenizer = load(MODEL_DIR)
    texts = [completion(p, style) for p in generate_problems("base", 210, seed=4) for style in STYLES]
    lengths = [len(ids) + 1 for ids in tokenizer(texts)["input_ids"]]
    assert max(lengths) < 96
    assert sum(lengths) / len(lengths) < 40
