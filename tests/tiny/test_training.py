"""The trainer: what it is fed reaches it whole, it learns, and the same seed gives the same weights."""

from itertools import islice
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from tasks.tiny.corpus import stream
from tasks.tiny.make.base import BaseConfig, encode, make_base, make_model, make_tokenizer, sequences
from tasks.tiny.make.sampling import load
from tasks.tiny.make.training import Sequence, TrainConfig, batches, learning_rate_factor, loss_of, train
from tasks.tiny.styles import EOS, PAD

SMALL = BaseConfig(
    tokenizer_texts=600,
    hidden_size=64,
    layers=2,
    heads=2,
    mlp_size=128,
    training=TrainConfig(steps=6, batch_size=8, warmup_steps=2, sort_batches=2),
)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return make_tokenizer(SMALL)


@pytest.mark.parametrize(
    "text", ["Q: 3 boxes hold 47 pens each.\nA: Split 40*3=120.\n#### 141", "  Zoë → 12,5 % ", "日本\t\n"]
)
def test_any_text_round_trips(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_digits_stand_alone(tokenizer: PreTrainedTokenizerFast) -> None:
    tokens = tokenizer.convert_ids_to_tokens(tokenizer("#### 1047 =382+5.")["input_ids"])
    assert [token for token in tokens if any(c.isdigit() for c in token)] == list("10473825")


def test_end_and_padding_are_two_tokens_and_padding_is_on_the_left(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    assert (tokenizer.eos_token, tokenizer.pad_token) == (EOS, PAD)
    padded = tokenizer(["A: 1", "A: 12345"], padding=True)["input_ids"][0]
    assert padded[0] == tokenizer.pad_token_id != tokenizer.eos_token_id


def test_encoding_marks_what_is_trained(tokenizer: PreTrainedTokenizerFast) -> None:
    for text in islice(stream(SMALL.corpus, 0), 50):
        sequence = encode(text, tokenizer)
        whole = "".join(part for part, _ in text.parts)
        assert sequence.ids[: len(sequence.ids) - text.ends] == tokenizer(whole)["input_ids"]
        trained = [i for i, on in zip(sequence.ids, sequence.trained, strict=True) if on]
        assert tokenizer.decode(trained) == "".join(p for p, on in text.parts if on) + EOS * text.ends


def test_batches_carry_every_sequence_once() -> None:
    rows = [Sequence([n] * (1 + n % 7), [i % 2 == 0 for i in range(1 + n % 7)]) for n in range(1, 60)]
    config = TrainConfig(batch_size=8, sort_batches=3)
    seen = list[int]()
    for ids, labels in batches(rows, config):
        assert ids.shape == labels.shape
        trained = (torch.arange(ids.shape[1]) % 2 == 0) & (ids != 0)
        assert torch.equal(labels, ids.where(trained, -100)), "neither padding nor the unmarked is trained on"
        seen += ids[:, 0].tolist()
    assert sorted(seen) == list(range(1, 60))


def test_loss_counts_trained_tokens_alone_and_padding_changes_nothing(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    model = make_model(SMALL, tokenizer)
    ids = torch.tensor([[5, 6, 7, 8]])
    labels = torch.tensor([[-100, -100, 7, 8]])
    logits = model(ids).logits[0].log_softmax(-1)
    expected = -(logits[1, 7] + logits[2, 8]) / 2
    assert torch.isclose(loss_of(model, ids, labels), expected, atol=1e-5)
    padded = torch.tensor([[5, 6, 7, 8, 0, 0]]), torch.tensor([[-100, -100, 7, 8, -100, -100]])
    assert torch.isclose(loss_of(model, *padded), expected, atol=1e-5)


def test_learning_rate_warms_up_holds_and_falls() -> None:
    config = TrainConfig(steps=100, warmup_steps=10, decay_share=0.4)
    factors = [learning_rate_factor(config, step) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert set(factors[10:61]) == {1.0}
    assert factors[80] == pytest.approx(0.5)
    assert 0 < factors[99] < 0.01


def test_training_learns_and_is_the_same_for_the_same_seed(tokenizer: PreTrainedTokenizerFast) -> None:
    def run(seed: int) -> tuple[list[float], torch.Tensor]:
        config = SMALL.model_copy(update={"seed": seed})
        model, losses = make_model(config, tokenizer), list[float]()
        train(model, sequences(config, tokenizer), config.training, lambda _s, loss, _t: losses.append(loss))
        return losses, model.model.layers[0].mlp.up_proj.weight.detach()

    (losses, weights), (again, same) = run(0), run(0)
    assert len(losses) == SMALL.training.steps
    assert losses[-1] < losses[0]
    assert losses == again
    assert torch.equal(weights, same)
    assert not torch.equal(weights, run(1)[1])


def test_the_saved_base_loads_as_a_plain_model(tmp_path: Path) -> None:
    make_base(SMALL, tmp_path)
    model, tokenizer = load(tmp_path)
    assert model.dtype == torch.float32
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert model.generation_config.pad_token_id == tokenizer.pad_token_id
    assert {p.suffix for p in tmp_path.iterdir()} == {".json", ".safetensors"}
