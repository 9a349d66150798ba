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
    read = getattr(pipelines, name)(**command.make_context(name, words).params)
    assert {key: read[key] for key in parameters} == parameters
