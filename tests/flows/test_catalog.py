"""Settings, recipes and artifacts can be found from the command line."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli.app import app
from flows.cli.output import from_here
from tasks.dataset.schema import TRAIN_FILE
from tasks.recipe.schema import recipe_schema
from tasks.report.models import measured_models
from tasks.shared.tables.parquet import read_rows
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
    shown, ended = said("ls"), said("report")
    for name, label in labels.items():
        assert f"{name}  {label}  " in shown
        assert from_here(listed[name]["path"]) in shown
        assert f"{label}: {name}" in ended
        assert from_here(listed[name]["path"]) in ended
    assert "it has dataset, evaluation, filtered, model, questions, report, samples" in said("ls", "modle", code=1)


@pytest.mark.slow
def test_lineage_names_models_as_the_end_of_a_run_does(finished: Run, store: Store) -> None:
    models = measured_models(store, store.manifest(finished.ref))
    last = models[-1]
    shown = said("lineage", str(last.ref))
    told = {item["artifact"]: item for item in json.loads(said("lineage", str(last.ref), "--json"))["ancestry"]}
    for model in models:
        if model.label == "RL from base":
            continue
        assert f"{model.label}: {model.ref}\n" in shown
        assert from_here(model.path) in shown
        assert (told[str(model.ref)]["label"], told[str(model.ref)]["path"]) == (model.label, model.path)
    (dataset,) = [item for item in store.all("dataset") if str(item.ref) in told and "train" in item.rows]
    seen = next(iter(read_rows(store.local(dataset.ref) / TRAIN_FILE, ["question_id"])))["question_id"]
    saw = {item["model"]: item for item in json.loads(said("lineage", "--question", seen, "--json"))["models"]}
    for model in models[2:]:
        assert (saw[str(model.ref)]["label"], saw[str(model.ref)]["path"]) == (model.label, model.path)
    assert f"{last.label}: {last.ref}" in said("lineage", "--question", seen)


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


@pytest.mark.slow
def test_an_exported_model_loads_and_its_card_says_what_it_is(finished: Run, store: Store, tmp_path: Path) -> None:
    from tasks.shared.models.causal_lm import load_causal_lm

    model = next(
        item.ref for item in measured_models(store, store.manifest(finished.ref)) if "RL from mid" in item.label
    )
    said("export", str(model), str(tmp_path / "out" / "mine"))
    folder = tmp_path / "out" / "mine"
    assert [path.name for path in folder.parent.iterdir()] == ["mine"]
    load_causal_lm(folder, dtype="auto")
    assert (folder / "tokenizer.json").is_file()
    assert not (folder / "training.jsonl").exists()
    card = (folder / "README.md").read_text()
    assert card.startswith("---\nlicense: apache-2.0\n")
    evaluation = next(item for item in store.all("evaluation") if item.parents["model"] == model)
    score = 100 * evaluation.summary["scores"]["tiny-test"]["pass@1"]
    for text in ("# RL from mid-trained", "from the base model embedded", f"**{score:.1f}** [", "| questions tiny |"):
        assert text in card
    assert "as the base model embedded states it" in card
    said("export", str(model), str(tmp_path / "again"), "--licence", "mit")
    assert (tmp_path / "again" / "README.md").read_text().startswith("---\nlicense: mit\n")
    for node in ("midtrain v", "rl v", "generate v", "dataset/"):
        assert node in card


@pytest.mark.slow
def test_an_export_writes_over_nothing_and_a_failed_one_leaves_nothing(
    finished: Run, store: Store, tmp_path: Path
) -> None:
    model = next(item for item in store.all("model") if item.stage == "rl")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    assert "is not empty (1 entries, notes.txt first)" in said("export", str(model.ref), f"{tmp_path}/mine", code=1)
    report = str(finished.ref)
    assert "is of kind report, not model" in said("export", report, f"{tmp_path}/other", code=1)
    weights = Path(store.place(model), "tokenizer.json")
    content = weights.read_bytes()
    try:
        weights.write_bytes(content[:-10])
        assert "damaged" in said("export", str(model.ref), f"{tmp_path}/other", code=1)
    finally:
        weights.write_bytes(content)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine"]


def test_a_plan_and_an_estimate_are_told_to_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDTRAIN_HOME", str(tmp_path))
    plan = json.loads(said("plan", "polya", "--json"))
    of = {(line["stage"], line["verdict"]): line["arms"] for line in plan["stages"]}
    assert of["midtrain", "waits"] == of["generate", "waits"] == ["polya"]
    assert of["report", "waits"] == of["model", "miss"] == of["evaluate", "waits"] == []
    costs = json.loads(said("estimate", "--recipe", "llama-3.2-3b", "--json"))
    assert {"rl", "midtrain", "report"} <= {stage["stage"] for stage in costs["stages"] if stage["device_hours"] > 0}
    assert all(need["fits"] == (need["needed"] <= need["available"]) for need in costs["memory_bytes"])


@pytest.mark.slow
def test_reports_lineage_gate_and_gc_are_told_to_programs(finished: Run, store: Store) -> None:
    report = json.loads(said("report", "--json"))
    assert report["artifact"] == str(finished.ref)
    assert report["models_at"][0]["label"] == "Base"
    model = report["models_at"][-1]["artifact"]
    told = json.loads(said("lineage", model, "--json"))
    names = [node["artifact"] for node in told["ancestry"]]
    assert names[-1] == model
    for node in told["ancestry"]:
        assert set(node["parents"].values()) <= set(names[: names.index(node["artifact"])])
    gate = CliRunner().invoke(app, ["gate", report["artifact"], "--margin", "1", "--json"])
    assert (gate.exit_code, json.loads(gate.stdout)["regressions"]) == (0, [])
    assert json.loads(gate.stdout)["comparisons"] == report["comparisons"]
    gc = json.loads(said("gc", "--json"))
    assert model in gc["kept"]
    assert gc["bytes"] == sum(item["bytes"] for item in gc["items"])
    assert not any(item["deleted"] for item in gc["items"])


def offered(*words: str) -> list[str]:
    """What a shell is offered for the last of the words."""
    typed = " ".join(("midtrain", *words))
    asked = {"_MIDTRAIN_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(len(words))}
    return CliRunner().invoke(app, [], env=asked, prog_name="midtrain").stdout.split()


def test_a_shell_completes_recipes_stages_arms_devices_and_settings() -> None:
    assert offered("plan", "polya", "--recipe", "tiny") == ["tiny-cpu", "tiny-cpu-controls"]
    longer = ["tiny-cpu-rmt-overthinking", "tiny-cpu-rmt-sensitivity"]
    assert offered("run", "rmt", "--recipe", "tiny-cpu-rmt-") == longer
    assert offered("run", "polya", "--force", "mid") == ["midtrain"]
    assert offered("run", "compare", "--arms", "vanilla,po") == ["vanilla,polya"]
    assert offered("run", "compare", "--recipe", "llama-3.2-3b", "--arms", "s") == ["star"]
    assert offered("estimate", "--device", "h1") == ["h100-80g"]
    assert offered("settings", "rl.ste") == ["rl.steps"]
    assert offered("run", "polya", "--set", "rl.ste") == ["rl.steps="]


@pytest.mark.slow
def test_a_shell_completes_artifacts(finished: Run, store: Store) -> None:
    assert offered("show", str(finished.ref)[:10]) == [str(finished.ref)]
    assert offered("ls", "mod") == ["model"]
    assert sorted(offered("export", "")) == sorted(str(item.ref) for item in store.all("model"))
