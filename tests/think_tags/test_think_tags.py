"""Tags as tokens: rows of tied and untied models; and which documents, drafts and settings are refused."""

import json
from pathlib import Path

import pytest
import torch

from tasks.errors import Permanent
from tasks.shared.engines.tokens import load_tokenizer
from tasks.shared.models.causal_lm import check_architecture, load_causal_lm
from tasks.shared.next_token.config import PredictionPrompt
from tasks.shared.next_token.prompts import PredictionRenderer
from tasks.spine.stage.worker import Reporter
from tasks.think_tags.config import TagJob, ThinkTagsConfig
from tasks.think_tags.examples import ExampleWriter
from tasks.think_tags.worker import run
from tests.support.corpus import write_texts
from tests.support.random_model import save_random_model
from tests.support.talking_model import save_talking_model

TAGS = ("<think>", "</think>")
BARE = PredictionPrompt(style="plain", template="{context} {budget}", template_without_budget="{context}")


def tag(base: Path, out: Path) -> Path:
    run(TagJob(model=base, out=out, tags=TAGS), Reporter(out.parent / "work"))
    return out


@pytest.fixture
def tied(tmp_path: Path) -> Path:
    """A model whose embedding has a row for each token and is its output layer too."""
    return save_random_model(tmp_path / "tied")


@pytest.fixture
def untied(tmp_path: Path) -> Path:
    """A chat model with an output layer of its own, and rows to spare."""
    return save_talking_model(tmp_path / "untied", chat=True)


def pieces(folder: Path) -> list[list[int]]:
    """Tokens that spell each tag for a tokenizer without it."""
    tokenizer = load_tokenizer(folder)
    return [tokenizer.encode(mark, add_special_tokens=False) for mark in TAGS]


def test_new_rows_are_the_mean_of_the_pieces_rows_and_the_head_stays_tied(tied: Path, tmp_path: Path) -> None:
    folder = tag(tied, tmp_path / "out")
    check_architecture(folder)
    before, after = (load_causal_lm(each, dtype="float32") for each in (tied, folder))
    old, new = (model.get_input_embeddings().weight.detach() for model in (before, after))
    assert len(new) == len(old) + 2 == json.loads((folder / "config.json").read_text())["vocab_size"]
    assert torch.equal(new[: len(old)], old)
    torch.testing.assert_close(new[len(old) :], torch.stack([old[ids].mean(0) for ids in pieces(tied)]))
    assert after.get_output_embeddings().weight is after.get_input_embeddings().weight


def test_rows_to_spare_are_used_first_in_embedding_and_output_layer(untied: Path, tmp_path: Path) -> None:
    known = len(load_tokenizer(untied))
    folder = tag(untied, tmp_path / "out")
    before, after = (load_causal_lm(each, dtype="float32") for each in (untied, folder))
    for layer in ("get_input_embeddings", "get_output_embeddings"):
        old, new = (getattr(model, layer)().weight.detach() for model in (before, after))
        assert old.shape == new.shape
        means = torch.stack([old[ids].mean(0) for ids in pieces(untied)])
        torch.testing.assert_close(new[known : known + 2], means)
        assert not torch.equal(*means)
        assert torch.equal(new[known + 2 :], old[known + 2 :])


def test_all_else_of_the_model_is_as_it_was(untied: Path, tmp_path: Path) -> None:
    folder = tag(untied, tmp_path / "out")
    old, new = load_tokenizer(untied), load_tokenizer(folder)
    assert [len(new.encode(mark, add_special_tokens=False)) for mark in TAGS] == [1, 1]
    assert new.chat_template == old.chat_template
    assert new.all_special_tokens[: len(old.all_special_tokens)] == old.all_special_tokens
    assert new.encode("the sum of 12") == old.encode("the sum of 12")
    settings = [json.loads((each / "generation_config.json").read_text()) for each in (untied, folder)]
    assert settings[0] == settings[1]
    assert [path.name for path in folder.glob("*.safetensors")] == ["model.safetensors"]


def test_tags_that_are_there_are_left_alone(untied: Path, tmp_path: Path) -> None:
    once = tag(untied, tmp_path / "once")
    result = run(TagJob(model=once, out=tmp_path / "twice", tags=TAGS), Reporter(tmp_path / "work"))
    assert result["added"] == []
    first, second = (load_causal_lm(each, dtype="float32").state_dict() for each in (once, tmp_path / "twice"))
    assert all(torch.equal(first[name], second[name]) for name in first)


def writer(folder: Path, context_tokens: int | None = 512, **settings: object) -> ExampleWriter:
    config = ThinkTagsConfig(**{"prediction_prompt": BARE, "thought_tokens": 8, **settings})
    return ExampleWriter(config, PredictionRenderer.for_model(config.prediction_prompt, folder), context_tokens)


def test_documents_and_drafts_with_special_tokens_make_no_example(untied: Path, tmp_path: Path) -> None:
    folder = tag(untied, tmp_path / "out")
    good = ["Ann has three pens.", "Bob \u00e9 \U0001f600 buys five."]
    texts = write_texts(tmp_path / "texts", [*good, "a <think> b", "it is <|end|> over", "x"], ["held out"])
    examples = writer(folder, examples=1000)
    places = examples.places(texts)
    assert {text for place in places for text in good if text.startswith(place.context + place.target)} == set(good)
    assert (examples.ledger()["documents"], examples.ledger()["documents_without_place"]) == (5, 3)
    drafts = ["", "</think> a", "<|end|>"] + ["so"] * (len(places) - 3)
    made = list(examples.examples(places, drafts))
    assert len(made) == len(places) - 3
    assert [row["position"] for row in made] == [place.position for place in places[3:]]
    ledger = examples.ledger()
    assert (ledger["empty_thought"], ledger["special_token"], ledger["examples"]) == (1, 2, len(made))
    assert ledger["places"] == len(places)


def test_no_place_is_inside_a_character(untied: Path, tmp_path: Path) -> None:
    """An emoji is four tokens of a byte-level tokenizer: none of them is text."""
    texts = write_texts(tmp_path / "texts", ["\U0001f600\U0001f600"], ["held out"])
    with pytest.raises(Permanent, match="no position of 1 documents"):
        writer(tag(untied, tmp_path / "out")).places(texts)


def test_a_longest_example_without_room_for_a_context_is_refused(untied: Path, tmp_path: Path) -> None:
    with pytest.raises(Permanent, match=r"max_length=24 .*leaves no room.*thought_tokens=8"):
        writer(tag(untied, tmp_path / "out"), max_length=24)


def test_a_corpus_with_nothing_to_predict_is_refused(untied: Path, tmp_path: Path) -> None:
    texts = write_texts(tmp_path / "texts", ["<think>", "y </think>"], ["held out"])
    with pytest.raises(Permanent, match="no position of 2 documents"):
        writer(tag(untied, tmp_path / "out")).places(texts)


def test_a_model_with_tags_is_the_same_whether_a_pipeline_made_it_or_the_stage_alone() -> None:
    assert ThinkTagsConfig(enabled=True).identity_payload() == ThinkTagsConfig().identity_payload()
    assert ThinkTagsConfig(examples=2).identity_payload() != ThinkTagsConfig().identity_payload()
