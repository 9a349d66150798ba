"""Reasoning and prediction in completions of a real tokenizer with think tags."""

from pathlib import Path

import pytest

from tasks.errors import Permanent
from tasks.shared.next_token.config import PredictionPrompt
from tasks.shared.next_token.prompts import PredictionRenderer
from tasks.shared.next_token.reader import Prediction, Reader, boxed
from tests.support.thinking_tokenizer import END, thinking_tokenizer

PLAIN = PredictionPrompt(
    style="plain",
    template="{context}\n[{budget}]<think>",
    template_without_budget="{context}\n[]<think>",
    prediction="bare",
)


def read(text: str, config: PredictionPrompt) -> Prediction:
    renderer = PredictionRenderer(config, thinking_tokenizer())
    reader = renderer.reader([renderer.tokenizer.convert_tokens_to_ids(END)])
    return reader.read(renderer.tokenizer.encode(text, add_special_tokens=False))


@pytest.mark.parametrize(
    ("completion", "expected"),
    [
        (f"a b</think>9{END}", Prediction(3, True, "9", "predicted")),
        (f"a b</think> 9 {END}", Prediction(3, True, " 9 ", "predicted")),
        (f"</think>9{END}", Prediction(0, True, "9", "predicted")),
        (f"a</think>ö{END}{END}{END}", Prediction(1, True, "ö", "predicted")),
        (f"a</think>{END}", Prediction(1, True, None, "no_prediction")),
        (f"a b{END}", Prediction(3, False, None, "no_prediction")),
        ("a b", Prediction(3, False, None, "truncated")),
        ("a</think>9", Prediction(1, True, None, "truncated")),
        ("", Prediction(0, False, None, "truncated")),
        (f"ab<think>c</think>9{END}", Prediction(4, True, "9", "predicted")),
        (f"a</think>9</think>8{END}", Prediction(1, True, "9</think>8", "predicted")),
        (f"a</think>9<think>8{END}", Prediction(1, True, None, "no_prediction")),
        (f"a</think>9<think>8</think>7{END}", Prediction(1, True, "7", "predicted")),
        (f"a</think>9<think>8</think>7<think>6{END}", Prediction(1, True, None, "no_prediction")),
    ],
)
def test_a_bare_prediction_is_all_that_follows_the_reasoning(completion: str, expected: Prediction) -> None:
    assert read(completion, PLAIN) == expected


@pytest.mark.parametrize(
    ("completion", "tokens"),
    [
        (f"<think>abc</think>\\boxed{{9}}{END}", 3),
        (f"\n<think>abc</think>\\boxed{{9}}{END}", 3),
        (f"abc</think>\\boxed{{9}}{END}", 3),
        (f"<think>ab<think>c</think>\\boxed{{9}}{END}", 4),
    ],
)
def test_reasoning_begins_after_the_tag_that_the_model_writes(completion: str, tokens: int) -> None:
    assert read(completion, PredictionPrompt(style="plain")) == Prediction(tokens, True, "9", "predicted")


def test_a_box_inside_the_reasoning_is_no_prediction() -> None:
    found = read(f"<think>\\boxed{{7}}</think>well{END}", PredictionPrompt(style="plain"))
    assert (found.text, found.outcome) == (None, "no_prediction")


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("\\boxed{9}", "9"),
        ("so \\boxed{ the} it is", " the"),
        ("\\boxed{\n}", "\n"),
        ("\\boxed{8} no, \\boxed{9}.", "9"),
        ("\\boxed{\\frac{1}{2}}", "\\frac{1}{2}"),
        ("\\boxed{8} and \\boxed{9", "8"),
        ("\\boxed{}", ""),
        ("\\boxed{\\frac{}", "\\frac{"),
        ("\\boxed{}$}", "}$"),
        ("\\boxed{\\}\n", "\\"),
        ("boxed 9", None),
        ("\\boxed 9", None),
        ("\\boxed{9", None),
    ],
)
def test_boxes_are_read_verbatim(text: str, content: str | None) -> None:
    assert boxed(text) == content


def test_an_empty_box_predicts_nothing() -> None:
    found = read(f"<think>a</think>\\boxed{{}}{END}", PredictionPrompt(style="plain"))
    assert (found.text, found.outcome, found.closed) == (None, "no_prediction", True)


def test_a_tokenizer_that_drops_the_first_space_loses_none() -> None:
    """Llama-like tokenizers decode the first token without its leading space."""
    pieces = {5: "</think>", 6: "▁the", 7: "▁end", 0: "</s>"}

    def decode(ids: list[int]) -> str:
        return "".join(pieces[token] for token in ids).replace("▁", " ").removeprefix(" ")

    reader = Reader(open_id=4, close_id=5, end_ids=[0], opened=True, form="bare", decode=decode)
    assert reader.read([7, 7, 5, 6, 7, 0]) == Prediction(2, True, " the end", "predicted")


def test_prompts_of_the_small_world() -> None:
    renderer = PredictionRenderer(PLAIN, thinking_tokenizer())
    assert renderer.prompt("Q: 1+1?\nA: {budget}", 80) == "Q: 1+1?\nA: {budget}\n[80]<think>"
    assert renderer.prompt("Q: 1+1?\nA:") == "Q: 1+1?\nA:\n[]<think>"
    assert renderer.opens_reasoning
    assert not PredictionRenderer(PredictionPrompt(style="plain"), thinking_tokenizer()).opens_reasoning


def test_a_chat_template_wraps_the_prompt_and_may_open_the_reasoning() -> None:
    template = "<user>{{ messages[0].content }}<assistant>{% if open %}<think>\n{% endif %}"
    asked = PredictionRenderer(PredictionPrompt(), thinking_tokenizer(template)).prompt("Once upon", 300)
    assert asked.startswith("<user>Complete the text under ### Context")
    assert "exactly 300 tokens" in asked
    assert "\\boxed{}" in asked
    assert asked.endswith("### Context\nOnce upon<assistant>")
    opening = PredictionRenderer(PredictionPrompt(chat_template_kwargs={"open": True}), thinking_tokenizer(template))
    assert opening.opens_reasoning


def test_a_prompt_that_closes_the_reasoning_is_refused() -> None:
    template = "{{ messages[0].content }}<think>\n\n</think>\n\n"
    with pytest.raises(Permanent, match=r"told not to reason.*chat_template_kwargs"):
        PredictionRenderer(PredictionPrompt(), thinking_tokenizer(template))


def test_templates_that_open_the_reasoning_differently_are_refused() -> None:
    with pytest.raises(Permanent, match="end both alike"):
        PredictionRenderer(PLAIN.model_copy(update={"template_without_budget": "{context}"}), thinking_tokenizer())


def test_a_tokenizer_without_think_tags_is_refused(tmp_path: Path) -> None:
    thinking_tokenizer(tags=()).save_pretrained(tmp_path)
    with pytest.raises(
        Permanent, match=rf"{tmp_path}.*'<think>' \(recipe\.prediction_prompt\.open_tag\).*not one token"
    ):
        PredictionRenderer.for_model(PLAIN, tmp_path)
    thinking_tokenizer(tags=("<think>",)).save_pretrained(tmp_path)
    with pytest.raises(Permanent, match=r"'</think>' \(recipe\.prediction_prompt\.close_tag\)"):
        PredictionRenderer.for_model(PLAIN, tmp_path)
