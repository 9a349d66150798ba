"""A recipe from a few answers: it loads, says what it is for, and writes over nothing."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli.app import app
from tasks.estimates.stages import estimate
from tasks.recipe.loading import load
from tasks.recipe.polya import PolyaRecipe
from tasks.shared.costs.devices import device_named


def test_a_recipe_is_written_from_answers_and_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [{"problem": f"question {n}", "id": n, "solution": f"so\n#### {n}"} for n in range(200)]
    Path("my data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    typed = "my data.jsonl\n\n\nrtx-4090\n"
    done = CliRunner().invoke(app, ["init", "mine.yaml", "--model", "Qwen/Qwen3-0.6B"], input=typed)
    assert done.exit_code == 0, done.output
    assert "[problem]" in done.output
    assert "[solution]" in done.output
    recipe = load(PolyaRecipe, "mine.yaml")
    assert (recipe.model.source, recipe.sized_for) == ("Qwen/Qwen3-0.6B", "rtx-4090")
    own = recipe.evaluate.questions("own")
    for config in (recipe.questions, recipe.rl_questions, own):
        assert config.source == "my data.jsonl"
        mapping = config.mapping()
        assert (mapping.question, mapping.answer, mapping.answer_rule.after) == ("problem", "solution", "####")
    assert [config.part for config in (recipe.questions, recipe.rl_questions, own)] == ["0-60", "60-90", "90-100"]
    assert estimate(recipe, device_named("rtx-4090"))["generate"].tokens > 0
    again = CliRunner().invoke(app, ["init", "mine.yaml", "--model", "x", "--data", "my data.jsonl"])
    assert (again.exit_code, "mine.yaml is there already" in again.output) == (1, True)


@pytest.mark.parametrize("column", ["no", "null", "a: b", "x # y", ".inf", 'it\'s "q"'])
def test_columns_and_files_of_any_name_stand_in_the_recipe_as_they_are(
    column: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("set: #1.jsonl").write_text(json.dumps({column: "one?", "answer": "1"}))
    answers = ["--data", "set: #1.jsonl", "--question", column, "--answer", "answer", "--device", "cpu-2core"]
    done = CliRunner().invoke(app, ["init", "my own.yaml", "--model", "org/name", *answers])
    assert done.exit_code == 0, done.output
    assert "--recipe 'my own.yaml'" in done.output
    recipe = load(PolyaRecipe, "my own.yaml")
    assert (recipe.questions.source, recipe.questions.mapping().question) == ("set: #1.jsonl", column)
    assert recipe.evaluate.questions("own").mapping().question == column


def test_answers_that_make_no_recipe_leave_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    answers = {"--model": "a/b", "--data": "org/set", "--question": "q", "--answer": "a", "--device": "rtx-4090"}
    nowhere = CliRunner().invoke(app, ["init", "nowhere/mine.yaml"])
    assert "there is no folder nowhere" in nowhere.output
    for wrong in ({"--question": "a[x"}, {"--device": "rtx-409"}, {"--data": "gone.jsonl"}):
        options = [word for pair in (answers | wrong).items() for word in pair]
        refused = CliRunner().invoke(app, ["init", *options])
        assert (refused.exit_code, list(tmp_path.iterdir())) == (1, []), refused.output


def test_a_column_that_the_file_has_not_is_refused_with_those_that_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("set.jsonl").write_text(json.dumps({"problem": {"text": "one?"}, "answer": "1"}))
    given = ["init", "--model", "a/b", "--data", "set.jsonl", "--answer", "answer", "--device", "cpu-2core"]
    refused = CliRunner().invoke(app, [*given, "--question", "problm"], env={"COLUMNS": "200"})
    assert "--question problm: no such column; did you mean 'problem'? There are: problem, answer" in refused.output
    assert [path.name for path in tmp_path.iterdir()] == ["set.jsonl"]
    nested = CliRunner().invoke(app, [*given, "--question", "problem.text"])
    assert nested.exit_code == 0, nested.output
