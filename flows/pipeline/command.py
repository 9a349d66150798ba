"""The command that makes what a pipeline makes, wherever the pipeline was started: in a form, by CI, in a shell."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from prefect.context import FlowRunContext

from tasks.text import printable, without_passwords

PIPELINES = ("polya", "rmt", "compare")
"""Flows that `midtrain run` has."""
LEFT_OUT = ("force", "dispatch", "overrides")
"""Parameters that change nothing of what is made, or are no option."""
SETTINGS = {
    "question_source": "questions.source",
    "question_preset": "questions.preset",
    "rl_question_source": "rl_questions.source",
    "rl_question_preset": "rl_questions.preset",
    "text_source": "texts.source",
    "benchmarks": "evaluate.benchmarks",
}
"""Fields of forms that are settings on the command line."""
PLAIN = re.compile(r"(?!(?i:true|false|yes|no|on|off|null|nan|inf)$)[A-Za-z/][\w/.+-]*")
"""Text that YAML reads as itself."""


def current_command() -> str:
    """The command of the running pipeline, without passwords; empty where `midtrain run` has none for it."""
    context = FlowRunContext.get()
    if context is None or context.flow is None or context.flow.name not in PIPELINES:
        return ""
    return printable(without_passwords(command_of(context.flow.name, context.parameters or {})))


def command_of(name: str, parameters: Mapping[str, Any]) -> str:
    """The command that runs a pipeline with these parameters."""
    return shlex.join(["midtrain", "run", name, *_options(parameters)])


def _options(parameters: Mapping[str, Any]) -> Iterator[str]:
    given = {key: value for key, value in parameters.items() if key not in LEFT_OUT and value not in ("", None, [])}
    for key, value in given.items():
        if key not in SETTINGS:
            yield f"--{key.replace('_', '-')}"
            yield ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    filled_in = {SETTINGS[key]: value for key, value in given.items() if key in SETTINGS}
    # What the form's own fields say stands above its overrides.
    for key, value in {**(parameters.get("overrides") or {}), **filled_in}.items():
        yield "--set"
        yield f"{key}={_text(value)}"


def _text(value: Any) -> str:
    """A value as `--set` reads it; text that would be read as something else is quoted."""
    return value if isinstance(value, str) and PLAIN.fullmatch(value) else json.dumps(value)
