"""Estimates: closed forms of tokens and operations, true weight counts, and memory that says what to change."""

import io
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from flows.cli import app
from tasks.artifacts.plan import PlannedStage, planning
from tasks.artifacts.ref import ArtifactRef
from tasks.artifacts.store import Store
from tasks.estimates import devices as device_table
from tasks.estimates import memory as memory_model
from tasks.estimates.cost import amount, duration
from tasks.estimates.devices import device_named, device_of
from tasks.estimates.memory import MemoryShort, memory, require_fit
from tasks.estimates.rmt import RmtCosts
from tasks.estimates.stages import estimate, planned_cost, planned_total
from tasks.estimates.table import stage_runs
from tasks.estimates.workload import count, plain_tokens, workload
from tasks.models.config import ModelConfig
from tasks.models.facts import FactsUnknown, ModelFacts, known, model_facts
from tasks.models.resolve import EMBEDDED_PATH
from tasks.questions.config import QuestionsConfig
from tasks.recipe.loading import load
from tasks.recipe.polya import PolyaRecipe
from tasks.recipe.rmt import RmtRecipe

RECIPE = "qwen3-0.6b-1gpu"
H100 = device_named("h100-80g")


def need(recipe: PolyaRecipe, phase: str, device: str = "rtx-4090") -> memory_model.MemoryNeed:
    return next(item for item in memory(recipe, device_named(device)) if item.phase == phase)


def test_weights_of_the_embedded_model_are_those_in_its_file() -> None:
    with (EMBEDDED_PATH / "model.safetensors").open("rb") as stream:
        header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    true = sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")
    assert model_facts(ModelConfig()).parameters == true


@pytest.mark.parametrize(
    ("source", "billions"),
    [
        ("meta-llama/Llama-3.2-3B-Instruct", 3.21),
        ("Qwen/Qwen3-0.6B", 0.596),
        ("Qwen/Qwen2.5-7B", 7.62),
        ("Qwen/Qwen2.5-7B-Instruct", 7.62),
        ("Qwen/Qwen3-14B", 14.8),
    ],
)
def test_weights_of_published_models(source: str, billions: float) -> None:
    assert ModelFacts.model_validate(known()[source]).parameters == pytest.approx(billions * 1e9, rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3", "mistral"])
def test_the_formula_agrees_with_the_library(kind: str, tmp_path: Path) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    shape = {
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "head_dim": 16,
    }
    config = AutoConfig.for_model(kind, **shape, num_key_value_heads=2, vocab_size=128, tie_word_embeddings=False)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    config.save_pretrained(tmp_path)
    facts = model_facts(ModelConfig(source=str(tmp_path)))
    assert facts.parameters == sum(weight.numel() for weight in model.parameters())
    assert facts.active == facts.parameters - 128 * 64


def test_a_model_of_unknown_shape_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FactsUnknown, match=r"model\.source='nobody/nothing'.*Qwen/Qwen3-0\.6B"):
        model_facts(ModelConfig(source="nobody/nothing"))
    (tmp_path / "config.json").write_text('{"model_type": "mixtral"}')
    with pytest.raises(FactsUnknown, match="model_type"):
        model_facts(ModelConfig(source=str(tmp_path)))


def test_tokens_are_counts_times_lengths() -> None:
    recipe = load(PolyaRecipe, RECIPE)
    costs, facts = estimate(recipe, H100), model_facts(recipe.model)
    assert costs["generate"].tokens == 2000 * 16 * 2 * 200
    rows = 2000 * 8 * recipe.midtraining.epochs
    example = plain_tokens(recipe, recipe.questions) + 200
    assert costs["midtrain"].tokens == pytest.approx(rows * example)
    assert costs["midtrain"].flops == pytest.approx(6 * facts.active * rows * example)
    assert costs["rl"].tokens == 4000 * 8 * 900
    drawn = (500 * 550 + 40 * 900 + 500 * 200) * (16 + 1)
    assert costs["evaluate"].tokens == pytest.approx(drawn)


@pytest.mark.parametrize(
    ("key", "value", "stage", "factor"),
    [
        ("generation.samples_per_heuristic", 4, "generate", 2),
        ("generation.heuristics", "plain", "generate", 1 / 16),
        ("questions.limit", 500, "generate", 1 / 4),
        ("questions.limit", 500, "midtrain", 1 / 4),
        ("generation.sampling.max_new_tokens", 100, "generate", 1 / 2),
        ("dataset.variants", 16, "midtrain", 2),
        ("dataset.variants", 64, "midtrain", 2),
        ("dataset.max_rows", 4000, "midtrain", 1 / 4),
        ("dataset.max_questions", 1000, "midtrain", 1 / 2),
        ("dataset.heuristics", ["analogy", "symmetry"], "midtrain", 1 / 4),
        ("midtraining.epochs", 4, "midtrain", 2),
        ("rl.steps", 50, "rl", 50 / 125),
        ("rl.epochs", 3, "rl", 3),
        ("rl.group_size", 16, "rl", 2),
        ("rl_questions.limit", 2000, "rl", 63 / 125),
        ("rl_prompts.max_questions", 2000, "rl", 63 / 125),
        ("rl.max_completion_tokens", 450, "rl", 1 / 2),
        ("evaluation.samples", 33, "evaluate", 2),
        ("evaluation.greedy", False, "evaluate", 16 / 17),
    ],
)
def test_tokens_follow_each_setting_and_hours_follow_tokens(key: str, value: object, stage: str, factor: float) -> None:
    before, after = (estimate(load(PolyaRecipe, RECIPE, overrides), H100)[stage] for overrides in ({}, {key: value}))
    assert after.tokens == pytest.approx(before.tokens * factor)
    assert (after.hours > before.hours) == (factor > 1)
    assert (after.flops > before.flops) == (factor > 1)


def test_several_passes_over_a_rollout_batch_cost_updates_but_no_rollouts() -> None:
    once, twice = (estimate(load(PolyaRecipe, RECIPE, {"rl.num_iterations": number}), H100)["rl"] for number in (1, 2))
    assert once.tokens == twice.tokens
    assert once.hours < twice.hours < 2 * once.hours


def test_without_a_scorer_filtering_only_checks() -> None:
    scored = estimate(load(PolyaRecipe, RECIPE), H100)["filter"]
    checked = estimate(load(PolyaRecipe, RECIPE, {"filtering.scorer": {"type": "none"}}), H100)["filter"]
    assert scored.tokens > checked.tokens == 0
    assert checked.hours < scored.hours


def test_a_faster_device_takes_fewer_hours() -> None:
    recipe = load(PolyaRecipe, "llama-3.2-3b")
    hours = {name: estimate(recipe, device_named(name))["rl"].hours for name in ("h200", "h100-80g", "a100-80g")}
    assert hours["h200"] < hours["h100-80g"] < hours["a100-80g"]


def test_a_set_of_unknown_size_asks_for_a_limit() -> None:
    own = QuestionsConfig(source="my.jsonl", fields={"question": "q", "answer": "a"})
    with pytest.raises(ValueError, match=r"questions: .*'my\.jsonl'.*questions\.limit"):
        count(own, "questions")
    assert count(own.model_copy(update={"limit": 7}), "questions") == 7


@pytest.mark.parametrize("name", ["gsm8k", "math500", "aime24", "amc23", "minerva_math", "olympiadbench", "svamp"])
def test_presets_state_the_rows_and_lengths_of_the_real_sets(name: str, shared_data: Path, tmp_path: Path) -> None:
    from tasks.parquet import read_rows
    from tasks.questions.load import load as load_questions
    from tasks.questions.presets import load_preset
    from tasks.questions.schema import QUESTIONS_FILE
    from tasks.questions.sources import resolve

    size = load_preset(name).size
    assert size is not None
    config = QuestionsConfig(source=str(shared_data / name / "test.jsonl"), preset=name)
    load_questions(resolve(config), tmp_path / QUESTIONS_FILE)
    lengths = [len(row["question"]) for row in read_rows(tmp_path / QUESTIONS_FILE, ["question"])]
    stated = size.rows.get("test") or size.rows["train"]
    assert len(lengths) == pytest.approx(stated, rel=0.02)
    assert sum(lengths) / len(lengths) == pytest.approx(size.question_chars, rel=0.05)


def test_training_state_is_eighteen_bytes_a_weight() -> None:
    recipe = load(PolyaRecipe, RECIPE)
    parts = need(recipe, "midtrain").parts
    state = sum(parts[name] for name in ("weights", "gradients", "AdamW", "bfloat16 copies"))
    assert state == 18 * model_facts(recipe.model).parameters
    assert need(load(PolyaRecipe, RECIPE, {"midtraining.dtype": "float32"}), "midtrain").parts["bfloat16 copies"] == 0


@pytest.mark.parametrize("phase", ["midtrain", "rl update"])
@pytest.mark.parametrize("device", ["rtx-4090", "h100-80g", "h200"])
def test_the_largest_micro_batch_fits_and_one_more_row_does_not(phase: str, device: str) -> None:
    largest = need(load(PolyaRecipe, RECIPE), phase, device).largest_micro_batch
    assert need(load(PolyaRecipe, RECIPE, {"runtime.micro_batch_size": largest}), phase, device).fits
    assert not need(load(PolyaRecipe, RECIPE, {"runtime.micro_batch_size": largest + 1}), phase, device).fits


@pytest.mark.parametrize(
    ("overrides", "setting"),
    [
        ({"runtime.micro_batch_size": 64}, r"rl update needs .*runtime\.micro_batch_size=64 to \d+"),
        ({"rl.max_completion_tokens": 60_000}, r"rl update needs .*rl\.max_completion_tokens=60000"),
        ({"midtraining.max_length": 60_000}, r"midtrain needs .*midtraining\.max_length=60000"),
        ({"runtime.rollout_gpu_memory_utilization": 0.9}, r"rl rollouts .*lower runtime\.rollout_gpu\w+=0\.9 to 0\.\d"),
        ({"runtime.rollout_gpu_memory_utilization": 0.1}, r"rl rollouts .*raise runtime\.rollout_gpu\w+=0\.1 to 0\.\d"),
        ({"runtime.gpu_memory_utilization": 0.1}, r"generate needs .*raise runtime\.gpu_memory_utilization=0\.1"),
        ({"model.source": "Qwen/Qwen3-14B"}, r"midtrain needs .*larger device or a smaller model"),
    ],
)
def test_short_memory_names_the_setting_to_change(overrides: dict[str, object], setting: str) -> None:
    with pytest.raises(MemoryShort, match=setting):
        require_fit(load(PolyaRecipe, RECIPE, overrides), device_named("rtx-4090"))


@pytest.mark.parametrize(
    ("overrides", "change"),
    [
        ({"runtime.rollout_gpu_memory_utilization": 0.9}, "lower"),
        ({"runtime.rollout_gpu_memory_utilization": 0.1}, "raise"),
    ],
)
def test_the_advised_share_of_rollouts_fits(overrides: dict[str, float], change: str) -> None:
    advice = need(load(PolyaRecipe, RECIPE, overrides), "rl rollouts").advice
    assert advice.startswith(change)
    share = float(advice.split(" to ")[1].split(",")[0])
    assert need(load(PolyaRecipe, RECIPE, {"runtime.rollout_gpu_memory_utilization": share}), "rl rollouts").fits


@pytest.mark.slow
def test_assumed_pass_sizes_are_those_of_the_workers() -> None:
    import tasks.filtering.worker as scoring
    import tasks.midtraining.trainer as midtraining
    import tasks.rl.arguments as rl

    assert scoring.TOKENS_PER_BATCH["cuda"] == memory_model.SCORING_TOKENS
    assert midtraining._TOKENS_PER_PASS["cuda"] == memory_model.MIDTRAINING_TOKENS
    assert rl._ROWS_PER_PASS_GPU == memory_model.RL_ROWS


def test_the_device_is_the_gpu_at_hand_or_what_the_recipe_is_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_table, "GPU_FOLDER", tmp_path)
    assert device_of(load(PolyaRecipe, "llama-3.2-3b")).label == "H100"
    assert device_of(load(PolyaRecipe, "tiny-cpu")).label == "CPU"
    (tmp_path / "0000:01:00.0").mkdir()
    (tmp_path / "0000:01:00.0" / "information").write_text("Model: \t\t NVIDIA A100-SXM4-80GB\nIRQ: 1\n")
    assert device_of(load(PolyaRecipe, "llama-3.2-3b")).label == "A100"
    assert device_of(load(PolyaRecipe, "llama-3.2-3b", {"runtime.device": "cpu"})).label == "CPU"


def test_arms_share_the_stages_in_which_they_do_not_differ() -> None:
    runs = stage_runs(load(PolyaRecipe, "llama-3.2-3b-ablations"), H100)
    counts = {stage: sum(run.stage == stage for run in runs) for stage in ("generate", "filter", "midtrain", "rl")}
    # Wrong answers share the candidates and differ in filtering; the two STaR arms draw their own.
    assert counts == {"generate": 3, "filter": 4, "midtrain": 13, "rl": 14}


def planned(stage: str, seconds: float | None, verdict: str = "waits") -> PlannedStage:
    ref = ArtifactRef(kind="model", fingerprint="0" * 64, digest="0" * 64)
    return PlannedStage(stage, verdict, "", seconds, ref, load(PolyaRecipe, "llama-3.2-3b", {"runtime.device": "cuda"}))


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
    from flows.polya import polya
    from flows.printing import plan_table

    monkeypatch.setenv("MIDTRAIN_HOME", str(tmp_path))
    monkeypatch.setattr(device_table, "GPU_FOLDER", tmp_path)
    arms = {
        "polya": {"label": "RL from mid-trained"},
        "star": {"label": "STaR", "overrides": {"generation.heuristics": "plain", "dataset.variants": 1}},
    }
    with planning(Store.open()) as plan:
        polya.fn(recipe="tiny-cpu", overrides={"arms": arms})
    console = Console(width=250, record=True, file=io.StringIO())
    console.print(plan_table(plan.rows))
    text = console.export_text()
    assert "unknown" not in text
    lines = [line for line in text.splitlines() if "tokens generated" in line]
    sizes = [workload(load(PolyaRecipe, "tiny-cpu", {"arms": arms}).arm(name)).generated.tokens for name in arms]
    for size in sizes:
        assert any(" generate " in line and f"{amount(size)} tokens" in line for line in lines)


def test_a_plan_counts_what_differs_only_in_what_it_waits_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDTRAIN_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "250")
    result = CliRunner().invoke(app, ["plan", "compare", "--recipe", "tiny-cpu", "--seeds", "0,1"])
    rows = [[cell.strip() for cell in line.split("│")] for line in result.stdout.splitlines()]
    times = {row[1]: row[2] for row in rows if len(row) > 2 and row[2].isdigit()}
    # Two arms of RL at two seeds, which measure their models, the mid-trained ones and the base.
    assert (times["rl"], times["midtrain"], times["evaluate"], times["model"]) == ("4", "2", "7", "1")


@pytest.mark.parametrize(("recipe", "device", "code"), [("llama-3.2-3b", "", 0), ("llama-3.2-3b", "rtx-4090", 1)])
def test_the_command_prints_costs_and_refuses_what_does_not_fit(recipe: str, device: str, code: int) -> None:
    result = CliRunner().invoke(app, ["estimate", "--recipe", recipe, *(["--device", device] if device else [])])
    assert result.exit_code == code
    assert "| rl | 3 |" in result.stdout
    assert ("take a larger device" in result.stdout) == bool(code)


def test_an_unknown_device_is_named() -> None:
    with pytest.raises(ValueError, match=r"'tpu'.*h100-80g"):
        device_named("tpu")


def test_rollouts_of_reinforcement_mid_training_follow_the_budget() -> None:
    recipe = load(RmtRecipe, "qwen3-14b-rmt")
    costs = RmtCosts(recipe.arm("rmt"), H100)
    assert costs.steps == math.ceil(4051 * 10 / 128)
    rollouts = costs.steps * 128 * 8
    mean = sum(800 * 0.2 ** (step / costs.steps) for step in range(costs.steps)) / costs.steps
    assert costs.all()["rmt"].tokens == pytest.approx(rollouts * (mean + 12), rel=0.01)
    unguided = RmtCosts(recipe.arm("rpt"), H100).all()["rmt"]
    assert unguided.tokens == pytest.approx(rollouts * (872 + 12), rel=0.01)


def test_sharding_spreads_what_a_trainer_holds_over_its_processes() -> None:
    def update(**runtime: int | str) -> memory_model.MemoryNeed:
        overrides = {f"runtime.{name}": value for name, value in runtime.items()}
        recipe = load(RmtRecipe, "qwen3-14b-rmt", overrides)
        return next(need for need in memory(recipe, H100) if need.phase == "rmt update")

    whole, shared = update(num_processes=8, distribution="ddp"), update(num_processes=8, distribution="fsdp2")
    halves = update(num_processes=8, distribution="deepspeed-zero2")
    assert shared.parts["AdamW"] == whole.parts["AdamW"] / 8 == halves.parts["AdamW"]
    assert shared.parts["weights"] == whole.parts["weights"] / 8 == halves.parts["weights"] / 8
    assert shared.parts["activations"] == whole.parts["activations"]
    assert shared.fits
    assert not whole.fits
    assert "runtime.distribution=fsdp2" in whole.advice
