"""Chat templates of the forms that real models have, and of forms that would spoil a run unseen."""

import datetime
import gc
from typing import Any

import pytest
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from tasks.errors import Permanent
from tasks.generate.heuristics import Heuristic, HeuristicExample
from tasks.shared.engines.prompt_form import PromptForm
from tasks.shared.engines.tokens import encode_prompts
from tasks.shared.prompts import template as template_module
from tasks.shared.prompts.config import PromptConfig
from tasks.shared.prompts.gate import Layout, ModelTokens
from tasks.shared.prompts.render import Renderer
from tasks.shared.prompts.under_heuristics import stated_as_asked
from tests.support.thinking_tokenizer import END, thinking_tokenizer

QUESTIONS = ("What is 2 + 3?", "What is 40 + 2?")
BEGIN, TURN = "<s>", "<|im_end|>"
LLAMA = (
    "{{- bos_token }}{%- if not date_string is defined %}{%- set date_string = strftime_now('%d %b %Y') %}{%- endif %}"
    "{%- if messages[0]['role'] == 'system' %}{%- set system_message = messages[0]['content']|trim %}"
    "{%- set messages = messages[1:] %}{%- else %}{%- set system_message = '' %}{%- endif %}"
    "{{- '<|system|>\nToday Date: ' + date_string + '\n\n' + system_message + '<|eot|>' }}"
    "{%- for message in messages %}{{- '<|' + message['role'] + '|>\n\n' + message['content'] | trim + '<|eot|>' }}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- '<|assistant|>\n\n' }}{%- endif %}"
)
QWEN = (
    "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}"
    "{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\n\n</think>\n\n' }}{%- endif %}"
    "{%- if opens is defined %}{{- '<think>\n' }}{%- endif %}{%- endif %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}"
    "{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
    "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}"
)
SMOLLM = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
MISTRAL = (
    "{%- if messages[0]['role'] == 'system' %}{%- set system = messages[0]['content'] %}{%- set rest = messages[1:] %}"
    "{%- else %}{%- set rest = messages %}{%- endif %}{{- bos_token }}{%- for message in rest %}"
    "{%- if loop.last and system is defined %}{{- '[INST] ' + system + '\n\n' + message['content'] + '[/INST]' }}"
    "{%- else %}{{- '[INST] ' + message['content'] + '[/INST]' }}{%- endif %}{%- endfor %}"
)
PARTS = (
    "{% for message in messages %}<|{{ message.role }}|>{% for part in message.content %}"
    "{% if part.type == 'text' %}{{ part.text }}{% endif %}{% endfor %}{% endfor %}<|assistant|>"
)
MIXED = (
    "{% for message in messages %}<|{{ message.role }}|>{% if message.role == 'system' %}{{ message.content }}"
    "{% else %}{{ message.content[0].text }}{% endif %}{% endfor %}<|assistant|>"
)
GENERATION = "{{ messages[-1].content }}{% generation %}{{ messages | tojson }}{% endgeneration %}<|assistant|>"
PLAIN = "<|user|>{{ messages[-1].content }}<|assistant|>"


def tokenizer(template: str, *, prefix: bool = False, suffix: bool = False) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer that puts `<s>` before texts, or the end token behind them."""
    made = thinking_tokenizer(template, tags=(BEGIN, TURN, "<think>", "</think>"))
    made.bos_token = BEGIN
    around = [BEGIN] * prefix + ["$A"] + [END] * suffix
    ids = [(name, made.convert_tokens_to_ids(name)) for name in (BEGIN, END)]
    made.backend_tokenizer.post_processor = TemplateProcessing(single=" ".join(around), special_tokens=ids)
    return made


def renderer(template: str, model: ModelTokens | None = None, prefix: bool = False, **prompt: Any) -> Renderer:
    return Renderer(PromptConfig(**prompt), tokenizer(template, prefix=prefix), model)


@pytest.mark.parametrize(
    ("template", "prompt", "inside"),
    [
        (LLAMA, {}, "Today Date: 26 Jul 2024\n"),
        (LLAMA, {"system": "Be brief."}, "Be brief."),
        (LLAMA, {"date": "2026-01-02"}, "Today Date: 02 Jan 2026\n"),
        (LLAMA, {"chat_template_kwargs": {"date_string": "a fine day"}}, "Today Date: a fine day\n"),
        (QWEN, {"system": "Be brief."}, "<|im_start|>system\nBe brief.<|im_end|>"),
        (QWEN, {"chat_template_kwargs": {"enable_thinking": False}}, "<think>\n\n</think>"),
        (GEMMA, {}, "<start_of_turn>model\n"),
        (SMOLLM, {}, "You are a helpful AI assistant"),
        (SMOLLM, {"system": "Be brief."}, "Be brief."),
        (MISTRAL, {"system": "Be brief."}, "[INST] Be brief.\n\nSolve"),
        (GENERATION, {}, '"role": "user"'),
    ],
)
def test_real_forms_render_as_transformers_does(template: str, prompt: dict[str, Any], inside: str) -> None:
    made = renderer(template, **prompt)
    text = made.plain(QUESTIONS[0])
    assert QUESTIONS[0] in text
    assert inside in text
    system = [{"role": "system", "content": made.config.system}] if made.config.system else []
    asked = text[text.index("Solve") : text.index(QUESTIONS[0])] + QUESTIONS[0]
    day = datetime.date.fromisoformat(made.config.date)
    assert text == tokenizer(template).apply_chat_template(
        [*system, {"role": "user", "content": asked}],
        tokenize=False,
        add_generation_prompt=True,
        strftime_now=day.strftime,
        **made.config.chat_template_kwargs,
    )


HEURISTIC = Heuristic(
    name="analogy",
    instruction="Think of a simpler problem.",
    examples=(
        HeuristicExample(question="What is 1 + 1?", solution="Like 2.\nIt is \\boxed{2}.", answer="2"),
        HeuristicExample(question="What is 2 + 2?", solution="Like 3. It is \\boxed{4}.", answer="4"),
    ),
)


@pytest.mark.parametrize(
    ("template", "turn"),
    [
        (LLAMA, "<|eot|><|assistant|>\n\n{}<|eot|><|user|>\n\n"),
        (QWEN, "<|im_end|>\n<|im_start|>assistant\n{}<|im_end|>\n<|im_start|>user\n"),
        (GEMMA, "<end_of_turn>\n<start_of_turn>model\n{}<end_of_turn>\n<start_of_turn>user\n"),
        (SMOLLM, "<|im_end|>\n<|im_start|>assistant\n{}<|im_end|>\n<|im_start|>user\n"),
        (PARTS, "<|assistant|>{}<|user|>"),
    ],
)
def test_worked_examples_are_turns_of_the_chat(template: str, turn: str) -> None:
    """So that a model answers one question and ends, as it ended before."""
    made = renderer(template)
    text = made.heuristic(HEURISTIC, QUESTIONS[0])
    first, second = HEURISTIC.examples
    shown = (
        f"{HEURISTIC.instruction}\n{made.config.answer_instruction}\n\nProblem: {first.question}"
        f"{turn.format(first.solution)}Problem: {second.question}{turn.format(second.solution)}Problem: {QUESTIONS[0]}"
    )
    assert shown in text
    assert text.count("Think of a simpler problem.") == 1
    assert made.stops([HEURISTIC]) == ()
    assert made.heuristic(Heuristic(name=""), QUESTIONS[0]) == made.plain(QUESTIONS[0])
    other = made.heuristic(HEURISTIC, QUESTIONS[1])
    assert text.replace(QUESTIONS[0], QUESTIONS[1]) == other


@pytest.mark.parametrize("examples_as", ["turns", "text"])
def test_worked_examples_state_their_answer_as_the_prompt_asks_for_it(examples_as: str) -> None:
    boxed = renderer(SMOLLM, examples_as=examples_as).heuristic(HEURISTIC, QUESTIONS[0])
    asked = {"examples_as": examples_as, "answer_instruction": "Say: The answer is N."}
    bare = renderer(SMOLLM, **asked).heuristic(HEURISTIC, QUESTIONS[0])
    assert "Like 3. It is \\boxed{4}." in boxed
    assert "Like 3. It is 4." in bare
    for elsewhere in (
        {"answer_instruction": ""},
        {"answer_instruction": "Box the answer."},
        {"system": "Use \\boxed{}."},
    ):
        text = renderer(SMOLLM, **{**asked, **elsewhere}).heuristic(HEURISTIC, QUESTIONS[0])
        assert "It is \\boxed{4}." in text
    assert "boxed" not in bare


def test_a_box_is_taken_off_whatever_braces_it_holds() -> None:
    config = PromptConfig(answer_instruction="Say: The answer is N.")
    text = stated_as_asked(config, "It is \\boxed{\\frac{\\sqrt{x_{1}}}{2}} or \\boxed{4}.")
    assert text == "It is \\frac{\\sqrt{x_{1}}}{2} or 4."


def test_a_template_that_shows_the_last_turn_alone_is_refused_with_the_way_out() -> None:
    with pytest.raises(Permanent, match=r"changes a worked example: .*set prompt\.examples_as=text"):
        renderer(PLAIN).heuristic(HEURISTIC, QUESTIONS[0])
    text = renderer(PLAIN, examples_as="text").heuristic(HEURISTIC, QUESTIONS[0])
    assert "Solution: Like 3. It is \\boxed{4}.\n\nProblem: What is 2 + 3?" in text


@pytest.mark.parametrize(
    ("prompt", "stops"),
    [
        ({"examples_as": "text"}, ("\n\nProblem:",)),
        ({"style": "plain"}, ("\n\nProblem:",)),
        ({"style": "message"}, ("\n\nProblem:",)),
        ({"style": "plain", "example_template": "Q: {question}\nA: {solution}\n###\n"}, ("\n###\nQ:",)),
        ({"style": "plain", "example_template": "{question}\n{solution}\n\n"}, ()),
        ({"style": "plain", "heuristic_template": "{instruction}\nQ: {question}"}, ()),
    ],
)
def test_examples_that_are_text_bring_the_text_that_ends_a_solution(
    prompt: dict[str, Any], stops: tuple[str, ...]
) -> None:
    assert renderer(QWEN, **prompt).stops([HEURISTIC]) == stops
    assert renderer(QWEN, **prompt).stops([Heuristic(name="analogy"), Heuristic(name="")]) == ()


@pytest.mark.parametrize(
    ("template", "layout"), [(QWEN, Layout()), (PARTS, Layout(True, True)), (MIXED, Layout(False, True))]
)
def test_a_template_gets_content_in_the_form_that_it_takes(template: str, layout: Layout) -> None:
    made = renderer(template, system="Be brief.")
    assert made._layout == layout
    for question in QUESTIONS:
        assert question in made.plain(question)
        assert "Be brief." in made.plain(question)
        assert "'text'" not in made.plain(question)


@pytest.mark.parametrize(
    ("template", "prompt", "message"),
    [
        ("<|user|>Hello<|assistant|>", {}, "the question is not in the text"),
        ("{{ messages[0].content[:9] }}<|assistant|>", {}, "the question is not in the text"),
        ("{{ messages[0].content | e }}<|assistant|>", {}, "the question is not in the text"),
        ("{{ messages | tojson }}<|assistant|>", {}, "the question is not in the text"),
        (GEMMA, {"system": "Be brief."}, r"System role not supported; empty prompt\.system"),
        (PLAIN, {"system": "Be brief."}, r"the system message is not in the text.*; empty prompt\.system"),
        ("{{ messages[0].content }}{{ ['a', 'b'] | random }}", {}, "No filter named 'random'"),
        ("{{ messages[0].content }}{{ lipsum() }}", {}, "'lipsum' is undefined"),
        ("{% for %}", {}, "TemplateSyntaxError"),
        ("{{ messages[0].content }}<|im_end|>\n", {}, "pass.* over add_generation_prompt"),
        ("{{ messages[0].content }}{{ eos_token }}", {}, "pass.* over add_generation_prompt"),
    ],
)
def test_forms_that_would_spoil_a_run_unseen_are_refused(template: str, prompt: dict[str, Any], message: str) -> None:
    turn = tokenizer(template).convert_tokens_to_ids(TURN)
    with pytest.raises(Permanent, match=message):
        renderer(template, ModelTokens(end_ids=(turn,)), **prompt)


@pytest.mark.parametrize(
    "loop",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{{ 9 ** (9 ** 9) }}",
        "{% set n = messages | length %}{{ 9 ** (9 ** (n + 8)) }}",
    ],
)
def test_a_template_that_runs_on_is_ended_from_outside(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert template_module.LIMIT_S == 1
    monkeypatch.setattr(template_module, "LIMIT_S", 0.2)
    with pytest.raises(Permanent, match=r"runs for more than 0.2 s on one prompt; mend it, or set prompt\.style=plain"):
        renderer(PLAIN + loop)


def test_a_template_that_runs_on_for_one_question_is_ended_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template_module, "LIMIT_S", 0.2)
    slow = "{% set n = messages[0].content.count('Zeno') %}{% if n %}{{ 9 ** (9 ** (n + 8)) }}{% endif %}"
    made = renderer(PLAIN + slow)
    assert made.plain(QUESTIONS[0])
    with pytest.raises(Permanent, match=r"runs for more than 0.2 s on one prompt; .* ends .*Zeno arrive"):
        made.plain("When does Zeno arrive?")
    assert made.plain(QUESTIONS[0]), "the next prompt has a process of its own"


def test_a_template_that_grows_without_bound_ends_its_process_alone() -> None:
    with pytest.raises(Permanent, match=r"MemoryError|may use 1024 MiB|runs for more than 1 s"):
        renderer(PLAIN + "{{ 'a' * 10 ** 11 }}")


def test_a_template_that_changes_one_question_is_refused_with_it() -> None:
    made = renderer("{{ messages[0].content.split('</x>')[-1] }}<|assistant|>")
    with pytest.raises(Permanent, match=r"changes the question: .*What is </x> 1\?"):
        made.plain("What is </x> 1?")


@pytest.mark.parametrize(
    ("template", "prefix", "adds"),
    [(LLAMA, True, False), (QWEN, True, True), (QWEN, False, False), (MISTRAL, True, False), (GEMMA, True, False)],
)
def test_the_tokenizers_own_prefix_stands_once_before_every_prompt(template: str, prefix: bool, adds: bool) -> None:
    made = renderer(template, prefix=prefix)
    assert made.form.adds_prefix is adds
    tokens = tokenizer(template, prefix=prefix)
    (ids,) = encode_prompts(tokens, [made.plain(f"{BEGIN} what is {BEGIN}?")], adds_prefix=made.form.adds_prefix)
    asked = 2
    begin = tokens.bos_token_id
    assert ids.count(begin) == asked + (prefix or "bos_token" in template)
    assert not prefix or (ids[0] == begin != ids[1])


@pytest.mark.parametrize("template", ["{{ bos_token }}{{ bos_token }}", "\n{{ bos_token }}"])
def test_a_prefix_that_would_stand_twice_is_refused(template: str) -> None:
    with pytest.raises(Permanent, match="writes '<s>' more than once, or not at the beginning"):
        renderer(template + PLAIN, prefix=True)


def test_chat_marks_that_the_model_has_no_embedding_for_are_named() -> None:
    turn = tokenizer(QWEN).convert_tokens_to_ids(TURN)
    assert renderer(QWEN, ModelTokens(embedding_size=turn + 1))
    with pytest.raises(Permanent, match=rf"embedding of {turn} rows does not have: '<\|im_end\|>' \({turn}\)"):
        renderer(QWEN, ModelTokens(embedding_size=turn))


@pytest.mark.parametrize(
    ("template", "prompt", "opened"),
    [
        (QWEN, {}, ""),
        (QWEN, {"chat_template_kwargs": {"opens": True}}, "<think>"),
        (QWEN, {"chat_template_kwargs": {"enable_thinking": False}}, ""),
        (PLAIN + "[THINK]", {"answer_instruction": "Think in <think></think>."}, "[THINK]"),
    ],
)
def test_the_form_says_whether_prompts_end_inside_a_thought(template: str, prompt: dict[str, Any], opened: str) -> None:
    assert renderer(template, **prompt).form == PromptForm(style="chat", adds_prefix=False, opened_thought=opened)


def test_a_written_date_and_an_argument_that_a_template_passes_over_are_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = renderer(LLAMA, chat_template_kwargs={"enable_thinking": False})
    made.plain(QUESTIONS[0])
    assert [record.getMessage().partition("  ")[2] for record in caplog.records] == [
        "writes the date: prompts have prompt.date=2024-07-26",
        "passes over prompt.chat_template_kwargs: it has no enable_thinking",
    ]


@pytest.mark.parametrize("style", ["plain", "auto", "message"])
def test_a_system_message_is_refused_where_prompts_have_no_place_for_it(style: str) -> None:
    with pytest.raises(
        ValueError, match=r"prompt\.system='Be brief\.' has no place in prompts of style '(plain|message)'"
    ):
        Renderer(PromptConfig(style=style, system="Be brief."))


def test_plain_prompts_have_a_form_too() -> None:
    assert Renderer(PromptConfig(style="plain")).form == PromptForm(style="plain", adds_prefix=True)
    assert Renderer(PromptConfig(style="plain", cue="\n<think>")).form.opened_thought == "<think>"
    assert Renderer(PromptConfig(style="message", cue="\n<think>")).form == PromptForm(style="message")
    with pytest.raises(ValueError, match="one opens a thought and the other does not"):
        PromptConfig(plain_template="{question}\n<think>")


@pytest.mark.parametrize("date", ["today", "2024-02-30", 7])
def test_a_date_that_is_none_is_refused(date: object) -> None:
    with pytest.raises(ValueError, match=r"is no date; write it as 2024-07-26"):
        PromptConfig(date=date)


def test_a_renderer_that_is_gone_leaves_no_process() -> None:
    made = renderer(PLAIN)
    process = made._template._process
    assert process.poll() is None
    del made
    gc.collect()
    assert process.poll() is not None
