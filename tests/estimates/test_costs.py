"""Estimates: closed forms of tokens and operations, and true weight counts."""

import copy
import json
import math
from pathlib import Path

import pytest
from pydantic import JsonValue

from flows.compare import outline
from tasks.estimates.stages import estimate, outlined_cost
from tasks.estimates.table import CountedRun, stage_runs
from tasks.questions.config import QuestionsConfig
from tasks.questions.estimate import count, plain_tokens
from tasks.recipe.loading import load
from tasks.recipe.polya import PolyaRecipe
from tasks.recipe.rmt import RmtRecipe
from tasks.schedule.estimate import step_count
from tasks.shared.costs.devices import device_named
from tasks.shared.costs.training import adapter_weights
from tasks.shared.models.config import ModelConfig
from tasks.shared.models.facts import FactsUnknown, ModelFacts, known, model_facts
from tasks.shared.models.resolve import EMBEDDED_PATH
from tasks.shared.training.config import LoRA

RECIPE = "qwen3-0.6b-1gpu"
H100 = device_named("h100-80g")


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
        ("Qwen/Qwen3-8B", 8.19),
        ("Qwen/Qwen3-14B", 14.8),
    ],
)
def test_weights_of_published_models(source: str, billions: float) -> None:
    assert ModelFacts.model_validate(known()[source]).parameters == pytest.approx(billions * 1e9, rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3", "mistral"])
def test_the_formula_agrees_with_the_library(kind: str, tmp_path: Path) -> None:
    import torch
    from peft import get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    from tasks.shared.training.adapters import lora_config

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
    for lora in (LoRA(rank=4), LoRA(rank=4, targets=("q_proj", "down_proj"))):
        adapted = get_peft_model(copy.deepcopy(model), lora_config(model, lora))
        assert adapter_weights(facts, lora) == adapted.get_nb_trainable_parameters()[0]


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
    rows = 2000 * 8 * recipe.midtrain.epochs
    example = plain_tokens(recipe.model, recipe.prompt, recipe.questions) + 200
    assert costs["midtrain"].tokens == pytest.approx(rows * example)
    assert costs["midtrain"].flops == pytest.approx(6 * facts.active * rows * example)
    assert costs["rl"].tokens == 4000 * 8 * 900
    drawn = (500 * 550 + 40 * 900 + 500 * 200) * (16 + 1)
    assert costs["evaluate"].tokens == pytest.approx(drawn)


@pytest.mark.parametrize(
    ("key", "value", "stage", "factor"),
    [
        ("generate.samples_per_heuristic", 4, "generate", 2),
        ("generate.heuristics", "plain", "generate", 1 / 16),
        ("questions.limit", 500, "generate", 1 / 4),
        ("questions.limit", 500, "midtrain", 1 / 4),
        ("generate.sampling.max_new_tokens", 100, "generate", 1 / 2),
        ("dataset.variants", 16, "midtrain", 2),
        ("dataset.variants", 64, "midtrain", 2),
        ("dataset.max_rows", 4000, "midtrain", 1 / 4),
        ("dataset.max_tokens", 4000 * 200, "midtrain", 1 / 4),
        ("dataset.max_questions", 1000, "midtrain", 1 / 2),
        ("dataset.heuristics", ["analogy", "symmetry"], "midtrain", 1 / 4),
        ("midtrain.epochs", 4, "midtrain", 2),
        ("rl.steps", 50, "rl", 50 / 125),
        ("rl.epochs", 3, "rl", 3),
        ("rl.group_size", 16, "rl", 2),
        ("rl_questions.limit", 2000, "rl", 63 / 125),
        ("rl_prompts.max_questions", 2000, "rl", 63 / 125),
        ("rl.max_completion_tokens", 450, "rl", 1 / 2),
        ("evaluate.samples", 33, "evaluate", 2),
        ("evaluate.greedy", False, "evaluate", 16 / 17),
    ],
)
def test_tokens_follow_each_setting_and_hours_follow_tokens(key: str, value: object, stage: str, factor: float) -> None:
    before, after = (estimate(load(PolyaRecipe, RECIPE, overrides), H100)[stage] for overrides in ({}, {key: value}))
    assert after.tokens == pytest.approx(before.tokens * factor)
    assert (after.hours > before.hours) == (factor > 1)
    assert (after.flops > before.flops) == (factor > 1)


@pytest.mark.parametrize("section", ["midtrain", "rl"])
def test_training_adapters_takes_about_two_thirds_and_writes_small_checkpoints(section: str) -> None:
    full, adapted = (
        estimate(load(PolyaRecipe, RECIPE, overrides), H100)[section]
        for overrides in ({}, {f"{section}.lora": {"rank": 8}})
    )
    facts = model_facts(load(PolyaRecipe, RECIPE).model)
    trained = adapter_weights(facts, LoRA(rank=8))
    assert full.tokens == adapted.tokens
    assert 0.65 < adapted.flops / full.flops < (0.68 if section == "midtrain" else 0.85)
    assert adapted.hours < full.hours
    assert (adapted.scratch_bytes, adapted.disk_bytes) == (24 * trained, full.disk_bytes + 4 * trained)


def test_a_target_that_such_a_model_does_not_have_is_refused_before_it_is_fetched() -> None:
    with pytest.raises(ValueError, match=r"lora\.targets: a qwen3 model has no linear layer 'query'; there are: q"):
        estimate(load(PolyaRecipe, RECIPE, {"midtrain.lora.targets": ["query"]}), H100)


def test_several_passes_over_a_rollout_batch_cost_updates_but_no_rollouts() -> None:
    once, twice = (estimate(load(PolyaRecipe, RECIPE, {"rl.num_iterations": number}), H100)["rl"] for number in (1, 2))
    assert once.tokens == twice.tokens
    assert once.hours < twice.hours < 2 * once.hours


UNSCORED, JUDGE = {"filter.scorer": {"type": "none"}}, {"type": "judge", "judge": "anything"}


def test_without_a_scorer_filtering_only_checks() -> None:
    scored = estimate(load(PolyaRecipe, RECIPE), H100)["filter"]
    checked = estimate(load(PolyaRecipe, RECIPE, UNSCORED), H100)["filter"]
    assert scored.tokens > checked.tokens == 0
    assert checked.hours < scored.hours


def test_a_scorer_costs_what_it_reads_where_it_reads() -> None:
    """A reward model smaller than the writer, and a judge whose hours are another machine's."""
    small = {"type": "reward_model", "model": {"source": "HuggingFaceTB/SmolLM2-135M-Instruct"}}
    scorers = {"ratio": {}, "reward": {"filter.scorer": small}, "judge": {"filter.scorer": JUDGE}, "none": UNSCORED}
    found = {name: estimate(load(PolyaRecipe, RECIPE, set_), H100)["filter"] for name, set_ in scorers.items()}
    assert found["ratio"].tokens == 2 * found["reward"].tokens
    assert found["ratio"].hours > found["reward"].hours > found["judge"].hours == found["none"].hours
    assert found["judge"].flops == 0
    assert "tokens judged by a server" in found["judge"].text


def test_a_faster_device_takes_fewer_hours() -> None:
    recipe = load(PolyaRecipe, "llama-3.2-3b")
    hours = {name: estimate(recipe, device_named(name))["rl"].hours for name in ("h200", "h100-80g", "a100-80g")}
    assert hours["h200"] < hours["h100-80g"] < hours["a100-80g"]


SMOLLM2 = {
    "model_type": "llama",
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "head_dim": 64,
    "vocab_size": 49152,
    "max_position_embeddings": 8192,
    "tie_word_embeddings": True,
    "dtype": "float32",
}
LARGER = {"hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 22, "num_attention_heads": 32}


@pytest.mark.parametrize(
    ("shape", "tokens_per_s"), [({}, 184), ({**LARGER, "num_key_value_heads": 4, "dtype": "bfloat16"}, 27)]
)
def test_two_cores_decode_at_the_speed_that_was_measured(shape: dict[str, object], tokens_per_s: float) -> None:
    """32 rows of about 110 tokens."""
    facts = ModelFacts.model_validate({**SMOLLM2, **shape})
    assert device_named("cpu-2core").decoding_s(facts, tokens_per_s, 110, 32) == pytest.approx(1, rel=0.1)


def test_a_set_of_unknown_size_asks_for_a_limit() -> None:
    own = QuestionsConfig(source="my.jsonl", fields={"question": "q", "answer": "a"})
    with pytest.raises(ValueError, match=r"questions: .*'my\.jsonl'.*questions\.limit"):
        count(own, "questions")
    assert count(own.model_copy(update={"limit": 7}), "questions") == 7


def test_questions_in_local_files_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "my.jsonl"
    file.write_text('{"question": "x", "answer": "#### 1"}\n' * 30 + "no JSON\n")
    own = QuestionsConfig(source=str(file), preset="gsm8k")
    assert count(own, "questions") == 30
    assert count(own.model_copy(update={"part": "0-50"}), "questions") == 15
    assert count(own.model_copy(update={"limit": 7}), "questions") == 7


@pytest.mark.parametrize("name", ["gsm8k", "math500", "aime24", "amc23", "minerva_math", "olympiadbench", "svamp"])
def test_presets_state_the_rows_and_lengths_of_the_real_sets(name: str, shared_data: Path, tmp_path: Path) -> None:
    from tasks.questions.export import export
    from tasks.questions.presets import load_preset
    from tasks.questions.schema import QUESTIONS_FILE
    from tasks.shared.tables.parquet import read_rows

    size = load_preset(name).size
    assert size is not None
    config = QuestionsConfig(source=str(shared_data / name / "test.jsonl"), preset=name)
    export(config, tmp_path / QUESTIONS_FILE, replace=False)
    lengths = [len(row["question"]) for row in read_rows(tmp_path / QUESTIONS_FILE, ["question"])]
    # Of a set that its publisher gives out whole, the hub has parts.
    stated = next(size.rows[split] for split in ("train+test", "test", "train") if split in size.rows)
    assert len(lengths) == pytest.approx(stated, rel=0.02)
    assert sum(lengths) / len(lengths) == pytest.approx(size.question_chars, rel=0.05)


def test_arms_share_the_stages_in_which_they_do_not_differ() -> None:
    runs = stage_runs(outline("llama-3.2-3b-ablations", {}), H100)
    counts = {stage: sum(run.stage == stage for run in runs) for stage in ("generate", "filter", "midtrain", "rl")}
    # Wrong answers share the candidates and differ in filtering; the two STaR arms draw their own.
    assert counts == {"generate": 3, "filter": 4, "midtrain": 13, "rl": 14}


def test_what_a_recipe_comes_to_is_said_without_its_model_and_its_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIDTRAIN_HOME", str(tmp_path / "home"))
    sets = {"train": ("questions", 100), "rl": ("rl_questions", 40)}
    own: dict[str, JsonValue] = {}
    for file, (section, limit) in sets.items():
        own[section] = {"source": f"/not/here/{file}.jsonl", "preset": "gsm8k", "limit": limit}
    rows = outline("qwen3-0.6b-1gpu", {**own, "model.source": "Qwen/Qwen3-0.6B"})
    assert not (tmp_path / "home").exists()
    loaded = {row.config.source: row for row in rows if row.stage == "questions" and row.config.source != "hub"}
    costs = {source: outlined_cost(row, H100).disk_bytes for source, row in loaded.items()}
    assert costs == {"/not/here/train.jsonl": 100 * 250, "/not/here/rl.jsonl": 40 * 250}
    assert len({row.ref for row in loaded.values()}) == 2


def test_think_tags_are_added_once_for_all_arms_and_cost_what_their_examples_do() -> None:
    def added(**settings: int) -> list[CountedRun]:
        overrides = {"think_tags.enabled": True, **{f"think_tags.{name}": value for name, value in settings.items()}}
        runs = stage_runs(outline("qwen3-0.6b-rmt-1gpu", overrides), H100)
        return [run for run in runs if run.stage == "think_tags"]

    (one,), (double,) = added(epochs=1), added(epochs=2)
    assert double.cost.tokens == 2 * one.cost.tokens > 1000 * 350
    assert double.cost.hours > one.cost.hours
    off = stage_runs(outline("qwen3-0.6b-rmt-1gpu", {}), H100)
    assert "think_tags" not in {run.stage for run in off}


def test_rollouts_of_reinforcement_mid_training_follow_the_budget() -> None:
    recipe = load(RmtRecipe, "qwen3-14b-rmt")
    steps = step_count(recipe.schedule, recipe.texts)
    assert steps == math.ceil(4051 * 10 / 128)
    rollouts = steps * 128 * 8
    mean = sum(800 * 0.2 ** (step / steps) for step in range(steps)) / steps
    budgeted, unguided = (estimate(recipe.arm(name), H100)["rmt_train"] for name in ("rmt", "rpt"))
    assert budgeted.tokens == pytest.approx(rollouts * (mean + 12), rel=0.01)
    assert unguided.tokens == pytest.approx(rollouts * (872 + 12), rel=0.01)


def test_a_model_that_is_seldom_right_costs_less_where_right_samples_are_worked_on() -> None:
    sparse = {"expected.right_share": 0.05, "expected.solution_tokens": 60, "rl.group_size": 8}
    full, few = (
        estimate(load(PolyaRecipe, RECIPE, {"rl.group_size": 8, **overrides}), H100) for overrides in ({}, sparse)
    )
    recipe = load(PolyaRecipe, RECIPE, sparse)
    samples = recipe.questions.limit * len(recipe.generate.answered()) * recipe.generate.most_per_heuristic
    assert few["generate"].tokens == samples * 60 < full["generate"].tokens
    assert few["filter"].tokens < 0.06 * full["filter"].tokens
    assert few["midtrain"].tokens < 0.2 * full["midtrain"].tokens
    # Rollouts are written all the same; of the groups, 1 - 0.95^8 - 0.05^8 are passed through.
    assert recipe.expected.live_share(8) == pytest.approx(0.3366, abs=1e-4)
    assert few["rl"].tokens < full["rl"].tokens
    assert few["rl"].flops < 0.34 * full["rl"].flops
    assert few["evaluate"].tokens < full["evaluate"].tokens
    assert load(PolyaRecipe, RECIPE, {"expected.right_share": 0.0}).expected.live_share(8) == 0


def test_likelihoods_as_a_reward_take_one_more_pass_over_the_rollouts() -> None:
    bare = {"prediction_prompt.prediction": "bare"}
    matched, likelihood = (
        estimate(load(RmtRecipe, "qwen3-0.6b-rmt-1gpu", {**bare, "rmt_train.reward.match": rule}), H100)["rmt_train"]
        for rule in ("exact", "likelihood")
    )
    assert matched.tokens == likelihood.tokens
    assert 1.1 < likelihood.flops / matched.flops < 1.4


def test_a_critic_reads_every_prompt_and_one_rollout_of_each_position_counts_as_one_of_a_group() -> None:
    recipe = "qwen3-0.6b-rmt-1gpu"
    groups = load(RmtRecipe, recipe)
    wider = groups.schedule.positions_per_step * groups.rmt_train.group_size
    critic = {"rmt_train.baseline": "critic", "rmt_train.group_size": 1, "schedule.positions_per_step": wider}
    steps = {"schedule.steps": 2, "rmt_train.ntp_weight": 0.0}
    of_groups, of_critic = (
        estimate(load(RmtRecipe, recipe, {**steps, **settings}), H100)["rmt_train"] for settings in ({}, critic)
    )
    assert of_critic.tokens == pytest.approx(of_groups.tokens)
    assert 1 < of_critic.flops / of_groups.flops < 1.3
