"""Settings, recipes and artifacts can be found from the command line."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli.app import app
from tasks.recipe.schema import recipe_schema
from tasks.report.models import measured_models
from tasks.spine.store.store import Store
from tests.support.small import Run


def said(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})
    assert done.exit_code == code, done.output
    return done.stdout


def test_settings_are_printed_for_people_and_for_programs() -> None:
    assert said("settings", "rl.steps").startswith("rl.steps = 0  int >= 0; ours\n    Rollout batches of the whole run")
    (item,) = json.loads(said("settings", "rl.steps", "--json"))
    assert (item["name"], item["default"], item["source"], item["methods"]) == ("rl.steps", 0, "ours", ["polya", "rmt"])
    assert "did you mean 'rl.steps'" in said("settings", "rl.stps", code=1)


def test_recipes_are_listed_with_what_they_are_for() -> None:
    assert "tiny-cpu  polya; arms vanilla, polya" in said("recipes")
    listed = {item["name"]: item for item in json.loads(said("recipes", "--json"))}
    assert listed["qwen3-14b-rmt"]["method"] == "rmt"
    assert listed["llama-3.2-3b"]["sized_for"] == "h100-80g"
    assert Path(listed["tiny-cpu"]["path"]).is_file()
    assert listed["defaults"]["path"] == ""


def test_the_schema_is_written_where_it_is_asked_for(tmp_path: Path) -> None:
    said("recipes", "--schema", str(tmp_path / "recipe.schema.json"))
    assert json.loads((tmp_path / "recipe.schema.json").read_text()) == recipe_schema()


def test_the_version_is_said_with_the_commit() -> None:
    assert said("--version").startswith("midtrain 0.")
    assert ", commit " in said("--version")


def test_an_empty_store_says_what_fills_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDTRAIN_HOME", str(tmp_path))
    assert "it is empty; `midtrain run polya` fills it" in said("ls", code=1)


@pytest.mark.slow
def test_models_are_listed_with_label_and_folder(finished: Run, store: Store) -> None:
    labels = {str(model.ref): model.label for model in measured_models(store, store.manifest(finished.ref))}
    assert list(labels.values()) == ["Base", "RL from base", "Mid-trained", "RL from mid-trained"]
    listed = {item["artifact"]: item for item in json.loads(said("ls", "model", "--json"))}
    assert {name: item["label"] for name, item in listed.items()} == labels
    for item in listed.values():
        assert Path(item["path"], "model.safetensors").is_file()
    shown = said("ls")
    for name, label in labels.items():
        assert f"{name}  {label}  " in shown
        assert listed[name]["path"] in shown
        assert f"{label}: {name}" in said("report")
    assert "it has dataset, evaluation, filtered, model, questions, report, samples" in said("ls", "modle", code=1)


@pytest.mark.slow
def test_an_artifact_is_shown_with_what_is_known_of_it(finished: Run, store: Store) -> None:
    (rl, *_) = [item for item in store.all("model") if item.stage == "rl"]
    shown = said("show", str(rl.ref)[:14])
    for text in ("RL from", store.place(rl), "model.safetensors", f"prompts: {rl.parents['prompts']}", "stage: rl v"):
        assert text in shown
    told = json.loads(said("show", str(rl.ref), "--json"))
    assert told["digest"] == rl.digest
    assert told["path"] == store.place(rl)
    assert "pass@1" in said("show", str(store.all("evaluation")[-1].ref))
