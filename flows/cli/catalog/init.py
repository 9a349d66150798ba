"""`midtrain init`: a recipe for one's own model and questions, from a few answers."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from tasks.errors import did_you_mean
from tasks.questions.config import QuestionsConfig
from tasks.questions.fields import SYNONYMS, FieldMapping
from tasks.questions.sources import source_files
from tasks.recipe.base import Recipe
from tasks.recipe.loading import load
from tasks.shared.costs.devices import device_named
from tasks.shared.sources.errors import Record, SourceError
from tasks.shared.sources.paths import MissingField, look_up, paths_of
from tasks.yaml_text import parsed_yaml

ANY_FIELDS = FieldMapping(question="question", answer="answer")
RULES = {"####": '{after: "####", number: true}', r"\boxed": "{last_boxed: true}"}
"""How the answer is taken from a worked solution, by what stands in one."""
TEXT = """\
# Written by `midtrain init`. All other settings have their defaults: `midtrain settings SECTION` lists them.
method: polya
description: {description}
# Lengths and micro batches are checked against this device: `midtrain estimate --recipe {file}`.
sized_for: {device}
model: {{source: {model}}}
# Questions are parted by their own hashes, so that no part holds a question of another: 60 % for solutions that the
# model writes itself, 30 % for RL, 10 % for the test. The paper takes another, harder set for RL.
questions:
  source: {data}
  fields: {fields}
  part: 0-60
rl_questions:
  source: {data}
  fields: {fields}
  part: 60-90
evaluate:
  # `own` is {benchmark}. Add those that ship, such as math500 or gsm8k, to measure what else changes.
  benchmarks: [own]
  sources: {{own: {benchmark}}}
  parts: {{own: 90-100}}
  # Completions of each question; the paper draws 64.
  samples: 16
# What is compared: RL alone, and RL after mid-training. More arms: deployments/recipes/README.md.
arms:
  vanilla: {{label: RL from base, midtrain: false}}
  polya: {{label: RL from mid-trained}}
"""
BENCHMARK = "title: Own questions\nquestions:\n  source: {data}\n  fields: {fields}\n"


def write_recipe(file: Path, answers: dict[str, str], console: Console) -> None:
    """Ask for what `answers` leaves empty, and write a recipe and the benchmark that it names.

    Args:
        answers: model, data, question, answer and device.

    Raises:
        ValueError: a file is there already, or the answers make no recipe.
    """
    benchmark = file.with_name(f"{file.stem}-benchmark.yaml")
    if file.suffix not in (".yaml", ".yml"):
        raise ValueError(f"{file} would hold YAML; call it {file.with_suffix('.yaml').name}")
    if there := [path for path in (file, benchmark) if path.exists()]:
        raise ValueError(f"{there[0]} is there already; give another name, or delete it")
    if not file.parent.is_dir():
        raise ValueError(f"{file}: there is no folder {file.parent}; make it, or give another place")
    given = _asked(answers, console)
    fields = f"{{question: {_quoted(given['question'])}, answer: {_quoted(given['answer'])}{given['rule']}}}"
    names = {"model": given["model"], "data": given["data"], "file": str(file), "benchmark": str(benchmark)}
    names["description"] = f"Self-generated mid-training of {given['model']} on {given['data']}."
    quoted = {name: _quoted(value) for name, value in names.items()}
    benchmark.write_text(BENCHMARK.format(fields=fields, **quoted), encoding="utf-8")
    file.write_text(TEXT.format(fields=fields, device=given["device"], **quoted), encoding="utf-8")
    try:
        load(Recipe, str(file))
    except ValueError:
        file.unlink()
        benchmark.unlink()
        raise
    console.print(f"Written: {file}, {benchmark}. What it would do and cost:", soft_wrap=True)
    name = shlex.quote(str(file))
    console.print(f"  midtrain plan polya --recipe {name}\n  midtrain estimate --recipe {name}", soft_wrap=True)


def _asked(answers: dict[str, str], console: Console) -> dict[str, str]:
    found = dict(answers)
    found["model"] = answers["model"] or _ask("Base model (folder, org/name of a hub, s3://...)")
    found["data"] = answers["data"] or _ask("Questions with answers (file, folder, org/name of a hub)")
    row = _first_row(found["data"])
    if row:
        console.print(f"Columns: {', '.join(row)}", soft_wrap=True)
    for part, names in SYNONYMS.items():
        likely = next((name for name in names if name in row), "")
        found[part] = answers[part] or _ask(f"Column of the {part}", likely)
        _check_column(part, found[part], row)
    text = str(row.get(found["answer"], ""))
    found["rule"] = next((f", answer_rule: {rule}" for mark, rule in RULES.items() if mark in text), "")
    found["device"] = answers["device"] or _ask("Device (`cpu-2core`, `rtx-4090`, `h100-80g`, ...)", "h100-80g")
    device_named(found["device"])
    return found


def _check_column(part: str, column: str, row: Mapping[str, Any]) -> None:
    """Raise ValueError for a column that the first row of local files has not."""
    try:
        for path in paths_of(column) if row else ():
            look_up(row, path)
    except MissingField as error:
        near = did_you_mean(error.field, row) or "."
        raise ValueError(f"--{part} {column}: no such column{near} There are: {', '.join(row)}") from error


def _ask(question: str, default: str = "") -> str:
    return str(typer.prompt(question, default=default or None))


def _first_row(data: str) -> dict[str, Any]:
    """The first row of local files, for the names of its columns; empty for sources elsewhere.

    Raises:
        ValueError: the files cannot be found or read.
    """
    try:
        files = source_files(QuestionsConfig(source=data, fields=ANY_FIELDS))
        if files is None or not files.is_local:
            return {}
        return next((item.row for item in files.read(files.digest()) if isinstance(item, Record)), {})
    except SourceError as error:
        raise ValueError(str(error)) from error


def _quoted(text: str) -> str:
    """A text as it stands in YAML's flow style: a JSON string where it is more than a plain word."""
    plain = text and all(sign.isalnum() or sign in "_./" for sign in text) and parsed_yaml(text) == text
    return text if plain else json.dumps(text, ensure_ascii=False)
