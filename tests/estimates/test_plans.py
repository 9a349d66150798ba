"""What a plan and the `estimate` command say of costs."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from flows.cli.app import app
from tasks.estimates.precision import float32_warnings, planned_warnings
from tasks.estimates.stages import estimate, planned_cost, planned_total
from tasks.recipe.base import Recipe
from tasks.recipe.loading import load, names
from tasks.recipe.polya import PolyaRecipe
from tasks.shared.costs import devices as device_table
from tasks.shared.costs.devices import Device, device_named, device_of
from tasks.shared.costs.machine import amount, duration
from tasks.spine.stage.plan import PlannedStage, planning
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.store import Store

H100 = device_named("h100-80g")


def planned(stage: str, seconds: float | None, verdict: str = "waits") -> PlannedStage:
    ref = ArtifactRef(kind="model", fingerprint="0" * 64, digest="0" * 64)
    recipe = load(PolyaRecipe, "llama-3.2-3b", {"runtime.device": "cuda"})
    return PlannedStage(stage, verdict, "", seconds, ref, getattr(recipe, stage), recipe)


def test_a_plan_says_what_it_took_and_what_is_expected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_table, "GPU_FOLDER", tmp_path)
    assert planned_cost(planned("rl", None)) == estimate(load(PolyaRecipe, "llama-3.2-3b"), H100)["rl"].text
    assert "H100-hours" in planned_cost(planned("rl", None))
    assert planned_cost(planned("rl", 12.3)).startswith("about 12 s (the last time); estimate: ")
    assert planned_cost(planned("rl", 12.3, "hit")) == "none"


def test_a_plan_sums_what_is_missing_each_artifact_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_table, "GPU_FOLDER", tmp_path)
    costs = estimate(load(PolyaRecipe, "llama-3.2-3b"), H100)
    rl, other = planned("rl", None), planned("midtrain", None)
    other = replace(other, ref=ArtifactRef(kind="model", fingerprint="1" * 64, digest="1" * 64))
    hit = planned("rl", 1.0, "hit")
    both = duration(costs["rl"].hours + costs["midtrain"].hours, "H100")
    assert planned_total([rl, other, rl, hit]) == f"Missing in all: 2 artifacts, estimate: {both}."
    assert planned_total([hit]).startswith("Nothing is missing")
    assert "1 of 2 missing stages" in planned_total([rl, replace(other, context=None)])


def test_plans_of_the_tiny_pipeline_show_estimates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.cli.plans import plan_table
    from flows.polya import polya

    monkeypatch.setenv("MIDTRAIN_HOME", str(tmp_path))
    monkeypatch.setattr(device_table, "GPU_FOLDER", tmp_path)
    arms = {
        "polya": {"label": "RL from mid-trained"},
        "star": {"label": "STaR", "overrides": {"generate.heuristics": "plain", "dataset.variants": 1}},
    }
    with planning(Store.open()) as plan:
        polya.fn(recipe="tiny-cpu", overrides={"arms": arms})
    console = Console(width=250, record=True, file=io.StringIO())
    console.print(plan_table(plan.rows))
    text = console.export_text()
    assert "unknown" not in text
    lines = [line for line in text.splitlines() if "tokens generated" in line]
    recipe = load(PolyaRecipe, "tiny-cpu", {"arms": arms})
    sizes = [estimate(recipe.arm(name), device_named("cpu"))["generate"].tokens for name in arms]
    for size in sizes:
        assert any(" generate " in line and f"{amount(size)} tokens" in line for line in lines)


def test_a_teacher_writes_or_ready_solutions_are_read_and_the_base_model_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.polya import polya

    monkeypatch.setenv("MIDTRAIN_HOME", str(tmp_path))
    traces = tmp_path / "traces.jsonl"
    traces.write_text('{"question": "1 + 1?", "solution": "#### 2"}')
    arms = {
        "polya": {"label": "self-written"},
        "distilled": {"label": "Distilled", "overrides": {"generate.model.source": "embedded-thinking"}},
        "traces": {"label": "Traces", "overrides": {"generate.solutions.source": str(traces)}},
    }
    fits = {"generate.sampling.max_new_tokens": 96, "prompt.style": "plain"}
    with planning(Store.open()) as plan:
        polya.fn(recipe="tiny-cpu", overrides={"arms": arms, **fits})
    own, distilled, ready = ({row.stage: row for row in plan.rows if row.arm == arm}["generate"] for arm in arms)
    assert own.ref != distilled.ref
    assert own.config.identity_payload() == distilled.config.identity_payload()
    assert "tokens generated" in planned_cost(distilled)
    assert "tokens generated" not in planned_cost(ready)
    assert len({row.ref for row in plan.rows if row.stage == "model"}) == 2
    assert len({row.ref for row in plan.rows if row.stage == "midtrain"}) == 3


def test_a_plan_counts_what_differs_only_in_what_it_waits_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDTRAIN_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "250")
    result = CliRunner().invoke(app, ["plan", "compare", "--recipe", "tiny-cpu", "--seeds", "0,1"])
    rows = [[cell.strip() for cell in line.split("│")] for line in result.stdout.splitlines()]
    times = {row[1]: row[3] for row in rows if len(row) > 3 and row[3].isdigit()}
    # Two arms of RL at two seeds, which measure their models, the mid-trained ones and the base.
    assert (times["rl"], times["midtrain"], times["evaluate"], times["model"]) == ("4", "2", "7", "1")


@pytest.mark.parametrize(("recipe", "device", "code"), [("llama-3.2-3b", "", 0), ("llama-3.2-3b", "rtx-4090", 1)])
def test_the_command_prints_costs_and_refuses_what_does_not_fit(recipe: str, device: str, code: int) -> None:
    result = CliRunner().invoke(app, ["estimate", "--recipe", recipe, *(["--device", device] if device else [])])
    assert result.exit_code == code
    assert "| rl | 3 |" in result.stdout
    assert ("take a larger device" in result.stdout) == bool(code)


def test_float32_on_a_gpu_is_warned_of_where_a_stage_would_run_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_table, "GPU_FOLDER", tmp_path)
    command = ["estimate", "--recipe", "llama-3.2-3b", "--set", "rl.dtype=float32"]
    lines = CliRunner().invoke(app, command).stdout.splitlines()
    assert [line[:28] for line in lines if "Warning" in line] == ["Warning: rl.dtype=float32 on"]
    tagged = load(Recipe, "qwen3-14b-rmt", {"think_tags.enabled": True})
    assert [line[:36] for line in float32_warnings(tagged, H100)] == ["Warning: think_tags.dtype=float32 on"]
    slow = load(PolyaRecipe, "llama-3.2-3b", {"rl.dtype": "float32"})
    rows = [replace(planned(stage, None, verdict), context=slow) for stage, verdict in
            (("rl", "waits"), ("rl", "miss"), ("midtrain", "miss"), ("evaluate", "miss"))]  # fmt: skip
    assert len(planned_warnings(rows)) == 1
    assert planned_warnings([replace(rows[0], verdict="hit")]) == []
    assert not any(float32_warnings(load(Recipe, name), device_named("cpu")) for name in ("tiny-cpu", "tiny-cpu-rmt"))


@pytest.mark.parametrize("name", [name for name in names() if load(Recipe, name).sized_for])
def test_recipes_for_gpus_train_and_score_in_bfloat16(name: str) -> None:
    recipe = load(Recipe, name)
    assert float32_warnings(recipe, device_named(recipe.sized_for)) == []


def test_an_unknown_device_is_named() -> None:
    with pytest.raises(ValueError, match=r"'tpu'.*h100-80g"):
        device_named("tpu")


def test_the_device_is_the_gpu_at_hand_or_what_the_recipe_is_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def device(recipe: PolyaRecipe) -> Device:
        return device_of(recipe.runtime, recipe.sized_for)

    monkeypatch.setattr(device_table, "GPU_FOLDER", tmp_path)
    assert device(load(PolyaRecipe, "llama-3.2-3b")).label == "H100"
    assert device(load(PolyaRecipe, "tiny-cpu")) == device_named("cpu-2core") == device_named("cpu")
    (tmp_path / "0000:01:00.0").mkdir()
    (tmp_path / "0000:01:00.0" / "information").write_text("Model: \t\t NVIDIA A100-SXM4-80GB\nIRQ: 1\n")
    assert device(load(PolyaRecipe, "llama-3.2-3b")).label == "A100"
    assert device(load(PolyaRecipe, "llama-3.2-3b", {"runtime.device": "cpu"})).label == "CPU"
