"""What counts as right, without a model: spaces, several tokens at once, split characters, missing tags."""

from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tasks.predict.answers import Answers
from tasks.predict.positions import Position
from tasks.shared.next_token.config import PredictionPrompt
from tasks.shared.next_token.prompts import PredictionRenderer
from tests.support.thinking_tokenizer import thinking_tokenizer

PROMPT = PredictionPrompt(
    style="plain",
    template="{context}\n[{budget}]<think>",
    template_without_budget="{context}\n[]<think>",
    prediction="bare",
)
TOKENIZER = thinking_tokenizer(words=(" the", " end"))
THE, END = (TOKENIZER.encode(word, add_special_tokens=False)[0] for word in (" the", " end"))
POSITION = Position("d", 7, "hard", "of", TOKENIZER.encode("f")[0], THE, " the", " the end", [4, 8])


def reasoned(completion: str, finish_reason: str = "stop", tokens: int | None = None, **prompt: Any) -> dict[str, Any]:
    answers = Answers(PredictionRenderer(PROMPT.model_copy(update=prompt), TOKENIZER))
    count = len(TOKENIZER.encode(completion, add_special_tokens=False)) + (finish_reason == "stop")
    sample = {"completion": completion, "finish_reason": finish_reason, "sample_index": 2}
    row = answers.reasoned(POSITION, sample | {"completion_tokens": count if tokens is None else tokens})
    assert (answers.written_otherwise == 0) == (tokens is None)
    return row


@pytest.mark.parametrize(
    ("completion", "outcome", "prefix", "length"),
    [
        ("abc</think> the", "right", True, 3),
        ("abc</think>the", "wrong", False, 3),
        ("</think> the end", "wrong", True, 0),
        ("abc</think> th", "wrong", False, 3),
        ("abc</think>", "no_prediction", False, 3),
        ("abc the", "no_prediction", False, 4),
        ("a</think> the</think>", "wrong", False, 1),
    ],
)
def test_bare_predictions(completion: str, outcome: str, prefix: bool, length: int) -> None:
    row = reasoned(completion)
    assert (row["outcome"], row["correct"], row["prefix_correct"]) == (outcome, outcome == "right", prefix)
    assert row["reasoning_tokens"] == length
    assert (row["document_id"], row["position"], row["tier"], row["sample_index"]) == ("d", 7, "hard", 2)


def test_a_cut_completion_is_wrong_whatever_it_says() -> None:
    row = reasoned("abc</think> the", finish_reason="length")
    assert (row["outcome"], row["correct"], row["prefix_correct"]) == ("truncated", False, False)


def test_boxed_predictions_keep_their_spaces() -> None:
    assert reasoned("a</think>So \\boxed{ the}.", prediction="boxed")["outcome"] == "right"
    assert reasoned("a</think>So \\boxed{the}.", prediction="boxed")["outcome"] == "wrong"


def test_a_text_that_is_tokenized_otherwise_is_counted() -> None:
    """Written letter by letter, ` the` is four tokens; read again it is one."""
    assert reasoned("abc</think> the", tokens=9)["correct"]


def test_a_space_that_only_shows_behind_another_token_is_kept() -> None:
    """Llama's tokenizers drop the space of the first token that they decode."""
    pieces = ["<end>", "<think>", "</think>", "\u2581of", "\u2581the"]
    backend = Tokenizer(models.WordLevel({piece: index for index, piece in enumerate(pieces)}, unk_token="<end>"))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<end>")
    tokenizer.add_special_tokens({"additional_special_tokens": ["<think>", "</think>"]})
    position = Position("d", 1, "hard", "of", 3, 4, " the", " the", [4])
    assert tokenizer.decode([4]) == "the"
    assert Answers(PredictionRenderer(PROMPT, tokenizer)).direct(position, 4)["predicted"] == " the"


@pytest.mark.parametrize(("token", "text", "right"), [(THE, " the", True), (END, " end", False)])
def test_direct_predictions_are_compared_as_tokens(token: int, text: str, right: bool) -> None:
    row = Answers(PredictionRenderer(PROMPT, TOKENIZER)).direct(POSITION, token)
    assert (row["predicted"], row["correct"], row["outcome"]) == (text, right, "right" if right else "wrong")
    assert (row["reasoning_tokens"], row["sample_index"]) == (-1, -1)
