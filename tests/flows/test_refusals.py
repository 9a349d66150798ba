"""What is refused before anything starts, in a line, and that every example which help gives is not."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from prefect.utilities.callables import parameter_schema
from typer.testing import CliRunner

from flows.cli import commands
from flows.cli.app import app
from flows.compare import compare
from flows.pipeline.recipes import check_parameters
from flows.polya import polya
from flows.rmt import rmt
from tasks.config import OF_RECIPE, Frozen, Seed
from tasks.recipe.base import Recipe
from tasks.recipe.loading import METHODS, RECIPES, load, names
from tasks.recipe.merging import RecipeError
from tasks.recipe.rmt import RmtRecipe


@pytest.mark.parametrize("name", names())
def test_a_recipe_keeps_its_whole_name(name: str) -> None:
    assert (RECIPES / f"{name}.yaml").is_file()
    assert load(Recipe, name).name == name
    assert load(Recipe, str(RECIPES / f"{name}.yaml")).name == name


def test_shipped_names_have_dots_and_stay_apart() -> None:
    assert {"llama-3.2-3b", "llama-3.2-3b-ablations", "qwen3-0.6b-1gpu"} <= set(names())
    assert len({load(Recipe, name).name for name in names()}) == len(names())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1: 2", "1 is not a setting"),
        ("rl: {1: 2}", "rl.1 is not a setting"),
        ("yes: 2", "True is not a setting"),
        ("rl: 5", "rl is 5, but it is a section; set a setting in it, such as rl."),
        ("rl:", "rl is None, but it is a section"),
        ("[a", "is not YAML: .* \\(line 1\\)"),
        ("rl: {steps: 3}\nrl: {steps: 4}", "'rl' stands there twice"),
        ("? [a]\n: 1", r"a key is a list or a mapping \(line 1\)"),
        ("? {a: b}\n: 1", r"a key is a list or a mapping \(line 1\)"),
        ("seed: " + "9" * 5000, r"own\.yaml is not YAML: .*4300 digits"),
        ("seed: 2026-13-45", r"own\.yaml is not YAML: month must be in 1\.\.12"),
        ("", "own.yaml is empty; for the defaults take recipe 'defaults'"),
        ("# all later", "own.yaml is empty"),
        ("[]", "is not a mapping of sections"),
        ("rl: {steps: 010}", r"010 is a number to base 60 or 8; write it in decimals, or in quotes \(line 1\)"),
        ("rl: {steps: 1:30}", "1:30 is a number to base 60"),
        ("rl: {learning_rate: 1:30.5}", "1:30.5 is a number to base 60"),
        ("generate: {sampling: {stop: ['x', '']}}", "generate.sampling.stop: .*an empty stop text stands everywhere"),
        ("prompt: {plain_template: '{questoin} {question}'}", r"\{questoin\} is no placeholder here; did you mean 'q"),
        ("prompt: {plain_template: '{question} {Answer_Instruction}'}", r"\{Answer_Instruction\} is no placeholder"),
        ("prompt: {plain_template: '{instruction} {question}'}", r"\{instruction\} is no placeholder here"),
        ("prompt: {example_template: '{question} {name}'}", "here; there are: question, solution"),
        ("rl: {steps: 99999999999999999999}", "rl.steps: .*no whole number may be larger than 9223372036854775807"),
        ("rl: {steps: many}", "recipe 'own' does not validate"),
        ("evaluate: {benchmarks: []}", "evaluate.benchmarks: .*give one benchmark at least"),
        ("evaluate: {benchmarks: [svamp, svamp]}", "evaluate.benchmarks: .*each once"),
        ("model: {source: ''}", "model.source: String should have at least 1 character"),
        ("rl: " + "[" * 3000, "nested too deeply"),
        ("rl: " + "{a: " * 3000 + "1" + "}" * 3000, "nested too deeply"),
        ("rl: {steps: true}", "rl.steps is true, but it is a number"),
        ("rl: {learning_rate: .inf}", "rl.learning_rate: Input should be a finite number"),
        ("seed: 4294967296", "less than or equal to 4294967295"),
        ("model: {source: 'http://me:secret@host/m'}", r"model.source='http://\*\*\*@host/m' has a password"),
        (
            "questions: {source: 'https://b.s3.host/q.csv?X-Amz-Signature=secret'}",
            r"questions.source='https://.*Signature=\*\*\*' has a .*signature .* fetch the file",
        ),
    ],
)
def test_a_recipe_that_cannot_be_read_is_refused_in_a_line(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=why) as refused:
        load(Recipe, str(path))
    assert str(refused.value).count("\n") <= 1
    assert "secret" not in str(refused.value)


def test_a_recipe_that_is_no_text_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_bytes(b"description: \xff")
    with pytest.raises(RecipeError, match=r"own\.yaml is not UTF-8"):
        load(Recipe, str(path))


def test_a_recipe_that_is_a_folder_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"^recipe .*\.yaml cannot be read: Is a directory"):
        load(Recipe, str(tmp_path.rename(tmp_path.with_suffix(".yaml"))))


@pytest.mark.parametrize(
    "options",
    [
        ["--set", "rl.step=8"],
        ["--set", "rl=5"],
        ["--set", "rl.steps=many"],
        ["--set", "rl.steps={a: b: c"],
        ["--set", "rl.steps=" + "[" * 9999],
        ["--set", "rl.steps"],
        ["--set", 'rl={"steps": 2, "steps": 3}'],
        ["--set", "rl={steps: 2, steps: 3}"],
        ["--set", "evaluate.benchmarks=[]"],
        ["--set", "generate.sampling.stop=[1"],
        ["--set", "rl.steps=010"],
        ["--force", "rll"],
        ["--recipe", "tiny-cpuu"],
        ["--seed", str(2**32)],
        ["--base-model", "http://me:secret@host/m"],
    ],
)
def test_a_slip_is_refused_before_a_server_starts(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIDTRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))

    def start(*_: Any) -> None:
        raise AssertionError("a server was started")

    monkeypatch.setattr(commands, "start_temporary_server", start)
    done = CliRunner().invoke(app, ["run", "polya", *options])
    assert done.exit_code in (1, 2), done.output
    assert "Traceback" not in done.output
    assert "server was started" not in done.output
    assert "secret" not in done.output
    assert not (tmp_path / "prefect").exists()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["evaluate", "tiny", "--benchmarks", "svamp,gsm8k="], "'gsm8k=' names no file"),
        (["evaluate", "tiny", "--benchmarks", "gsm8k,gsm8k=a.jsonl"], "names gsm8k twice"),
        (["questions", "a.jsonl", "--out", "b.parquet", "--fields", "question=a,question=b"], "names a field twice"),
        (["questions", "a.jsonl", "--out", "b.parquet", "--fields", "{question"], "--fields '{question' is neither"),
        (["recipes", "--schema", "nowhere/x.json"], "--schema nowhere/x.json: no file can be written there"),
    ],
)
def test_an_option_that_says_two_things_or_none_is_refused(arguments: list[str], why: str) -> None:
    done = CliRunner(env={"COLUMNS": "200"}).invoke(app, arguments)
    assert (done.exit_code in (1, 2), why in done.output) == (True, True), done.output


def test_arms_are_looked_up_before_anything_starts() -> None:
    with pytest.raises(RecipeError, match="arm 'polyaa' is not in recipe 'tiny-cpu'"):
        check_parameters("compare", {"recipe": "tiny-cpu", "arms": ["polyaa"]})
    check_parameters("compare", {"recipe": "tiny-cpu", "arms": ["polya"], "force": ["rl"], "seeds": [0]})
    check_parameters("evaluate", {"recipe": "defaults", "overrides": {"model.source": "org/name"}})


def test_what_an_arm_does_not_go_with_is_refused_by_its_name() -> None:
    recipe = load(RmtRecipe, "tiny-cpu-rmt", {"rmt_train.reward.match": "likelihood"})
    with pytest.raises(RecipeError) as refused:
        recipe.arm("rollout-sft")
    where, what = str(refused.value).splitlines()
    assert where == "recipe 'tiny-cpu-rmt' with arms.rollout-sft.overrides does not validate:"
    assert re.fullmatch(r"  rmt_train: objective=sft learns from right predictions; .* asks for none", what)


def test_a_seed_that_stands_twice_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"seeds: \[0, 1, 0\] names one twice"):
        compare.fn(recipe="tiny-cpu", seeds=[0, 1, 0])


def test_every_seed_has_the_bounds_of_one() -> None:
    def seeds(model: type[Frozen]) -> Iterator[tuple[str, Any]]:
        for name, field in model.model_fields.items():
            if "seed" in name:
                yield f"{model.__name__}.{name}", field
            if isinstance(field.annotation, type) and issubclass(field.annotation, Frozen):
                yield from seeds(field.annotation)

    found = {name: field.metadata for kind in METHODS.values() for name, field in seeds(kind)}
    assert len(found) > 8
    wanted = Frozen.model_config and Seed.__metadata__[0].metadata
    without_mark = {name: [item for item in metadata if item != OF_RECIPE] for name, metadata in found.items()}
    assert {name for name, metadata in without_mark.items() if metadata != wanted} == set()


def helps() -> Iterator[str]:
    """Every help text of the command, its options and arguments, and of the form's fields."""

    def below(command: Any) -> Iterator[str]:
        yield command.help or ""
        yield from (parameter.help or "" for parameter in command.params if hasattr(parameter, "help"))
        for inner in getattr(command, "commands", {}).values():
            yield from below(inner)

    yield from below(typer.main.get_command(app))
    for flow in (polya, rmt):
        yield from (item.get("description", "") for item in parameter_schema(flow).properties.values())


def test_examples_in_help_work() -> None:
    texts = list(helps())
    settings = [pair for text in texts for pair in re.findall(r"\b([a-z_]+(?:\.[a-z_]+)+)=([^\s,;.]+)", text)]
    objects = [json.loads(found) for text in texts for found in re.findall(r"\{.*?\}", text) if ":" in found]
    assert settings
    assert objects
    for key, value in settings:
        load(Recipe, "tiny-cpu", {key: json.loads(value)})
    for overrides in objects:
        load(Recipe, "tiny-cpu", overrides)
    devices = [found for text in texts for found in re.findall(r"E\.g\. (\w+-\w+)", text)]
    from tasks.questions.presets import preset_names
    from tasks.shared.costs.devices import device_named

    assert [device_named(name).label for name in devices]
    presets = [found for text in texts for found in re.findall(r"Schema of the source, e\.g\. (\w+)", text)]
    assert set(presets) <= set(preset_names())
    assert presets
