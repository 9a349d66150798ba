"""The command in a report leads to the parameters that the pipeline ran with."""

import shlex
from typing import Any

import pytest
from typer.main import get_command

from flows.cli import pipelines
from flows.pipeline.command import command_of

OVERRIDES = {"rl.steps": 4, "model.source": "org/name", "questions.file": "/a b/c.parquet", "note": "true", "x": None}


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("polya", {"recipe": "tiny-cpu", "limit": None, "seed": 0, "base_model": "model/3f2a", "overrides": OVERRIDES}),
        (
            "rmt",
            {"recipe": "mine; rm.yaml", "limit": 3, "arms": ["rmt", "ntp"], "overrides": {"prompt.date": "2024-07"}},
        ),
        ("compare", {"recipe": "math", "seeds": [0, 2], "arms": [], "overrides": {"rl.trl": {"delta": 1.5}}}),
    ],
)
def test_a_shell_and_the_command_line_read_it_back(name: str, parameters: dict[str, Any]) -> None:
    program, verb, pipeline, *words = shlex.split(
        command_of(name, {**parameters, "force": ["rl"], "dispatch": "worker"})
    )
    assert (program, verb, pipeline) == ("midtrain", "run", name)
    command = get_command(pipelines.run_app).commands[name]
    options = command.make_context(name, words).params
    options.pop("verbose")
    read = getattr(pipelines, name)(**options)
    assert {key: read[key] for key in parameters} == parameters


def test_what_a_form_alone_has_a_field_for_is_a_setting_on_the_command_line() -> None:
    filled_in = {
        "question_source": "a b.csv",
        "question_preset": "gsm8k",
        "rl_question_source": "rl.jsonl",
        "benchmarks": ["svamp"],
    }
    overrides = {"questions.preset": "svamp", "rl.steps": 4}
    words = shlex.split(command_of("polya", {"recipe": "mine", **filled_in, "arms": ["star"], "overrides": overrides}))
    options = get_command(pipelines.run_app).commands["polya"].make_context("polya", words[3:]).params
    options.pop("verbose")
    read = pipelines.polya(**options)
    assert (read["recipe"], read["arms"]) == ("mine", ["star"])
    assert read["overrides"] == {
        "questions.preset": "gsm8k",
        "rl.steps": 4,
        "questions.source": "a b.csv",
        "rl_questions.source": "rl.jsonl",
        "evaluate.benchmarks": ["svamp"],
    }
    assert "texts.source=corpus" in command_of("rmt", {"recipe": "mine", "text_source": "corpus"})
