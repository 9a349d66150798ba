"""The training of the base that thinks: two more tokens, the same seed the same model, nothing else moved."""

from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from tasks.tiny import MODEL_DIR
from tasks.tiny.make.sampling import load
from tasks.tiny.make.think import ThinkConfig, add_tags, make_think, sequences
from tasks.tiny.make.training import TrainConfig
from tasks.tiny.thinking import CLOSE, OPEN

SMALL = ThinkConfig(training=TrainConfig(steps=4, batch_size=8, warmup_steps=1, sort_batches=2))


def test_the_tags_are_single_special_tokens_and_no_other_token_moves() -> None:
    model, tokenizer = load(MODEL_DIR)
    before, weights = dict(tokenizer.get_vocab()), model.get_input_embeddings().weight.detach().clone()
    add_tags(model, tokenizer, seed=0)
    assert {token: tokenizer.get_vocab()[token] for token in before} == before
    assert [len(tokenizer(tag)["input_ids"]) for tag in (OPEN, CLOSE)] == [1, 1]
    assert tokenizer.decode(tokenizer(f"A: 1{OPEN}")["input_ids"], skip_special_tokens=True) == "A: 1"
    after = model.get_input_embeddings().weight
    assert torch.equal(after[: len(before)], weights[: len(before)])
    assert not torch.equal(after[len(before)], after[len(before) + 1])
    assert after.shape == weights.shape


def test_a_vocabulary_without_room_is_refused() -> None:
    model, tokenizer = load(MODEL_DIR)
    tokenizer.add_tokens([f"filler{i}" for i in range(model.config.vocab_size - len(tokenizer) - 1)])
    with pytest.raises(ValueError, match=r"vocab_size=640: no room for 2 more than 639 tokens"):
        add_tags(model, tokenizer, seed=0)


def test_thinking_and_prediction_alone_are_trained_on() -> None:
    model, tokenizer = load(MODEL_DIR)
    add_tags(model, tokenizer, seed=0)
    opening, closing = tokenizer.convert_tokens_to_ids([OPEN, CLOSE])
    found = [s for _, s in zip(range(60), sequences(SMALL, tokenizer), strict=False) if opening in s.ids]
    assert found
    for sequence in found:
        start = sequence.ids.index(opening) + 1
        assert sequence.trained == [False] * start + [True] * (len(sequence.ids) - start)
        assert sequence.ids.count(closing) == 1
        assert sequence.ids[-1] == tokenizer.eos_token_id
        assert len(sequence.ids) - sequence.ids.index(closing) >= 3, "a prediction and the end"


@pytest.mark.slow
def test_the_command_makes_the_same_model_again(tmp_path: Path) -> None:
    for name in ("one", "two"):
        make_think(SMALL, tmp_path / name)
    files = {path.name for path in (tmp_path / "one").iterdir()}
    assert {Path(name).suffix for name in files} == {".json", ".safetensors"}
    for name in files - {"training.json"}:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    first, made = load(MODEL_DIR)[0], load(tmp_path / "one")[0]
    assert not torch.equal(first.model.layers[0].mlp.up_proj.weight, made.model.layers[0].mlp.up_proj.weight)
    make_think(SMALL.model_copy(update={"seed": 1}), tmp_path / "other")
    other = load(tmp_path / "other")[0]
    assert not torch.equal(other.model.layers[0].mlp.up_proj.weight, made.model.layers[0].mlp.up_proj.weight)
    assert AutoTokenizer.from_pretrained(tmp_path / "one").convert_tokens_to_ids(CLOSE) < made.config.vocab_size
