"""What a model is shown, to the character."""

import json
import shutil
from pathlib import Path

import pytest

from tasks.generate.heuristics import load_heuristics
from tasks.shared.engines.tokens import load_tokenizer
from tasks.shared.prompts.config import PromptConfig, Style, fill
from tasks.shared.prompts.render import Renderer, has_chat_template
from tests.support.small_world import TINY
from tests.support.talking_model import save_talking_model

QUESTION = "What is \\boxed{name} of {question}?"


@pytest.fixture(scope="module")
def chat_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_talking_model(tmp_path_factory.mktemp("chat"), chat=True)


@pytest.fixture(scope="module")
def base_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_talking_model(tmp_path_factory.mktemp("base"))


def test_tiny_world_prompts() -> None:
    renderer = Renderer(TINY)
    backward = next(item for item in load_heuristics("tiny") if item.name == "working backward")
    assert renderer.plain("1+1?") == "Q: 1+1?\nA:"
    assert renderer.heuristic(backward, "1+1?") == "Q: 1+1?\nMethod: working backward\nA:"


def test_fill_replaces_each_placeholder_once_and_leaves_other_braces() -> None:
    assert fill("{a} \\boxed{} {b} {c}", a="{b}", b="1") == "{b} \\boxed{} 1 {c}"
    assert QUESTION in Renderer(PromptConfig(style="plain")).plain(QUESTION)


def test_prompts_of_one_heuristic_differ_only_in_the_question_at_the_end() -> None:
    renderer = Renderer(PromptConfig(style="plain"))
    for heuristic in load_heuristics("polya16"):
        one, two = renderer.heuristic(heuristic, "First question?"), renderer.heuristic(heuristic, "Second question?")
        head = one.removesuffix("First question?\nSolution:")
        assert head != one
        assert two == head + "Second question?\nSolution:"
        assert heuristic.instruction in head
        assert all(example.solution in head for example in heuristic.examples)


def test_the_control_without_heuristic_is_the_plain_prompt() -> None:
    renderer = Renderer(PromptConfig(style="plain"))
    (control,) = load_heuristics("plain")
    assert renderer.heuristic(control, "Why?") == renderer.plain("Why?")


def test_auto_uses_the_chat_template_where_there_is_one(chat_model: Path, base_model: Path) -> None:
    assert (has_chat_template(chat_model), has_chat_template(base_model)) == (True, False)
    chat = Renderer.for_model(PromptConfig(system="Be brief."), chat_model)
    assert chat.style == "chat"
    text = chat.plain("Why?")
    assert text.startswith("<|begin|><system>Be brief.<|end|><user>Solve")
    assert text.endswith("Problem: Why?<|end|><assistant>")
    assert Renderer.for_model(PromptConfig(), base_model).plain("Why?").endswith("Problem: Why?\nSolution:")


def test_options_reach_the_chat_template(chat_model: Path) -> None:
    config = PromptConfig(chat_template_kwargs={"thinking": False})
    assert Renderer.for_model(config, chat_model).plain("Why?").endswith("<assistant><no-think>")


@pytest.mark.parametrize("style", ["chat", "plain", "message"])
def test_a_mark_of_the_model_inside_a_question_is_told_once(
    chat_model: Path, style: Style, caplog: pytest.LogCaptureFixture
) -> None:
    renderer = Renderer.for_model(PromptConfig(style=style), chat_model)
    for question in ("What is 1 + 1?", "What is <|end|> for?", "And <|end|> here?"):
        assert question in renderer.plain(question)
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == (style != "message"), "what a server does with a message is not known here"
    assert all("reads <|end|> in the question 'What is <|end|> for?' as a token" in text for text in told)


def test_a_tokenizer_with_code_of_its_own_renders_where_it_is_trusted(chat_model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(chat_model, tmp_path / "own"))
    (folder / "own.py").write_text(
        "from transformers import PreTrainedTokenizerFast\nclass Own(PreTrainedTokenizerFast):\n    pass\n"
    )
    settings = json.loads((folder / "tokenizer_config.json").read_text()) | {"tokenizer_class": "Own"}
    settings["auto_map"] = {"AutoTokenizer": [None, "own.Own"]}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    found = Renderer.for_model(PromptConfig(), folder, trust_remote_code=True).plain("Why?")
    assert found == Renderer.for_model(PromptConfig(), chat_model).plain("Why?")


def test_chat_without_a_template_is_refused(base_model: Path) -> None:
    with pytest.raises(ValueError, match=r"prompt\.style is 'chat'.*no chat template"):
        Renderer(PromptConfig(style="chat"), load_tokenizer(base_model))


def test_a_message_is_left_to_the_server() -> None:
    assert Renderer(PromptConfig(style="message")).plain("Why?").endswith("Problem: Why?")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("plain_template", "Q: {qestion}", "exactly once"),
        ("heuristic_template", "{question} {question} {name}", "exactly once"),
        ("heuristic_template", "{question}", "all heuristics look alike"),
    ],
)
def test_templates_that_lose_something_are_refused(field: str, value: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PromptConfig.model_validate({field: value})


def test_completions_of_plain_prompts_begin_with_their_prefix_once(chat_model: Path) -> None:
    plain = Renderer(TINY)
    assert [plain.completion(text) for text in (" 42", "42", "\n42")] == [" 42", " 42", " 42"]
    assert Renderer.for_model(PromptConfig(), chat_model).completion("42") == "42"
