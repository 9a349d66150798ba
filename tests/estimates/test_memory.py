"""Memory that a recipe needs on a device, and what to change where it is short."""

import pytest

from tasks.estimates import memory as memory_model
from tasks.estimates.memory import MemoryShort, memory, require_fit
from tasks.recipe.loading import load
from tasks.recipe.polya import PolyaRecipe
from tasks.recipe.rmt import RmtRecipe
from tasks.shared.costs.devices import device_named
from tasks.shared.models.facts import model_facts

RECIPE = "qwen3-0.6b-1gpu"
H100 = device_named("h100-80g")


def need(recipe: PolyaRecipe, phase: str, device: str = "rtx-4090") -> memory_model.MemoryNeed:
    return next(item for item in memory(recipe, device_named(device)) if item.phase == phase)


def test_training_state_is_eighteen_bytes_a_weight() -> None:
    recipe = load(PolyaRecipe, RECIPE)
    parts = need(recipe, "midtrain").parts
    state = sum(parts[name] for name in ("weights", "gradients", "AdamW", "bfloat16 copies"))
    assert state == 18 * model_facts(recipe.model).parameters
    assert need(load(PolyaRecipe, RECIPE, {"midtrain.dtype": "float32"}), "midtrain").parts["bfloat16 copies"] == 0


def test_adapters_leave_frozen_weights_as_they_are_stored_and_state_of_their_own_alone() -> None:
    adapted = {f"{section}.lora.rank": 8 for section in ("midtrain", "rl")}
    recipe = load(PolyaRecipe, RECIPE, adapted)
    facts, parts = model_facts(recipe.model), need(recipe, "midtrain").parts
    # Inputs and outputs of q, k, v, o and of the three layers behind them, 28 times.
    trained = 28 * 8 * ((1024 + 2048) + 2 * (1024 + 1024) + (2048 + 1024) + 3 * (1024 + 3072))
    assert parts["frozen weights"] == 2 * facts.parameters
    assert sum(parts[name] for name in ("weights", "gradients", "AdamW", "bfloat16 copies")) == 18 * trained
    assert parts["activations"] > need(load(PolyaRecipe, RECIPE), "midtrain").parts["activations"]
    exact = need(load(PolyaRecipe, RECIPE, {**adapted, "midtrain.dtype": "float32"}), "midtrain")
    assert exact.parts["frozen weights"] == 4 * facts.parameters
    held = need(recipe, "rl rollouts").parts
    assert held["trainer's frozen weights"] == 2 * facts.parameters
    assert held["trainer's weights"] + held["trainer's AdamW"] == 12 * trained


def test_a_model_too_large_to_train_is_told_of_adapters_and_fits_with_them() -> None:
    full = {"midtrain.lora": None, "rl.lora": None}
    with pytest.raises(MemoryShort, match=r"midtrain needs .*midtrain\.lora\.rank=64"):
        require_fit(load(PolyaRecipe, "llama-3.2-3b-24gb", full), device_named("rtx-4090"))
    require_fit(load(PolyaRecipe, "llama-3.2-3b-24gb"), device_named("rtx-4090"))
    for source in ("Qwen/Qwen3-8B", "Qwen/Qwen3-14B"):
        require_fit(load(PolyaRecipe, "qwen3-8b-lora", {"model.source": source}), H100)


@pytest.mark.parametrize("phase", ["midtrain", "rl update"])
@pytest.mark.parametrize("device", ["rtx-4090", "h100-80g", "h200"])
def test_the_largest_micro_batch_fits_and_one_more_token_does_not(phase: str, device: str) -> None:
    most = need(load(PolyaRecipe, RECIPE), phase, device).most_tokens
    setting = f"runtime.{'sft' if phase == 'midtrain' else 'rl'}_micro_batch_tokens"
    assert need(load(PolyaRecipe, RECIPE, {setting: most}), phase, device).fits
    assert not need(load(PolyaRecipe, RECIPE, {setting: most + 1}), phase, device).fits


def test_no_pass_is_smaller_than_the_longest_row() -> None:
    recipe = load(PolyaRecipe, RECIPE, {"runtime.rl_micro_batch_tokens": 1})
    assert need(recipe, "rl update").pass_tokens == recipe.rl.max_prompt_tokens + recipe.rl.max_completion_tokens


@pytest.mark.parametrize(
    ("overrides", "setting"),
    [
        ({"runtime.rl_micro_batch_tokens": 2**18}, r"rl update needs .*runtime\.rl_micro_batch_tokens=262144 to \d+"),
        ({"rl.max_completion_tokens": 60_000}, r"rl update needs .*rl\.max_completion_tokens=60000"),
        ({"midtrain.max_length": 60_000}, r"midtrain needs .*midtrain\.max_length=60000"),
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
    import tasks.entropy.distribution as distribution
    import tasks.entropy.passes as entropy
    import tasks.filter.adherence.worker as scoring

    assert scoring.TOKENS_PER_BATCH["cuda"] == memory_model.SCORING_TOKENS
    assert entropy.TOKENS_PER_PASS["cuda"] == memory_model.ENTROPY_TOKENS
    assert distribution.ELEMENTS["cuda"] == memory_model.ENTROPY_LOGITS


def test_think_tags_are_trained_with_all_weights_where_they_are_added() -> None:
    phases = [item.phase for item in memory(load(RmtRecipe, "qwen3-0.6b-rmt-1gpu"), H100)]
    recipe = load(RmtRecipe, "qwen3-0.6b-rmt-1gpu", {"think_tags.enabled": True})
    first, *others = memory(recipe, H100)
    assert (first.phase, [item.phase for item in others]) == ("think_tags", phases)
    assert first.parts["AdamW"] == 8 * model_facts(recipe.model).parameters


def test_sharding_spreads_what_a_trainer_holds_over_its_processes() -> None:
    recipe = load(RmtRecipe, "qwen3-14b-rmt")

    def update(**runtime: int | str) -> memory_model.MemoryNeed:
        overrides = {f"runtime.{name}": value for name, value in runtime.items()}
        needs = memory(load(RmtRecipe, recipe.name, overrides), H100)
        return next(need for need in needs if need.phase == "rmt_train update")

    whole, shared = update(num_processes=8, distribution="ddp"), update(num_processes=8, distribution="fsdp2")
    halves = update(num_processes=8, distribution="deepspeed-zero2")
    alone = update(num_processes=1, distribution="ddp")
    assert whole.needed - alone.needed == whole.parts["buckets"] == 4 * model_facts(recipe.model).parameters
    assert "buckets" not in {**shared.parts, **halves.parts, **alone.parts}
    assert shared.parts["AdamW"] == whole.parts["AdamW"] / 8 == halves.parts["AdamW"]
    assert shared.parts["weights"] == whole.parts["weights"] / 8 == halves.parts["weights"] / 8
    assert shared.parts["activations"] == whole.parts["activations"]
    assert shared.fits
    assert not whole.fits
    assert "runtime.distribution=fsdp2" in whole.advice


def test_entropy_is_a_phase_of_its_own_and_float32_takes_twice_of_it() -> None:
    half, whole = (
        next(need for need in memory(load(RmtRecipe, "qwen3-14b-rmt", overrides), H100) if need.phase == "entropy")
        for overrides in ({}, {"entropy.dtype": "float32"})
    )
    assert half.fits
    assert not whole.fits
    assert (
        whole.parts["weights"]
        == 2 * half.parts["weights"]
        == 4 * model_facts(load(RmtRecipe, "qwen3-14b-rmt").model).parameters
    )
    assert whole.advice == "set entropy.dtype=bfloat16"


def test_what_an_arm_changes_is_counted_with_its_name_and_has_to_fit_too() -> None:
    arms = {
        "vanilla": {"label": "RL from base", "midtrain": False},
        "at-once": {"label": "At once", "midtrain": False, "overrides": {"rl.sft_weight": 0.1}},
        "distilled": {"label": "Distilled", "overrides": {"generate.model.source": "Qwen/QwQ-32B"}},
    }
    alone = load(PolyaRecipe, "llama-3.2-3b")
    recipe = load(PolyaRecipe, "llama-3.2-3b", {"arms": arms})
    common, own = [item.phase for item in memory(alone, H100)], memory(recipe, H100)[len(memory(alone, H100)) :]
    assert [item.phase for item in memory(recipe, H100)][: len(common)] == common
    assert [item.phase for item in own] == ["rl solutions (at-once)", "generate (distilled)", "filter (distilled)"]
    beside, teacher, _ = own
    assert beside.parts == need(recipe, "midtrain", "h100-80g").parts
    assert teacher.parts["weights"] == pytest.approx(2 * 32.76e9, rel=0.001)
    with pytest.raises(MemoryShort, match=r"filter \(distilled\) needs .* filter\.scorer\.type=none"):
        require_fit(recipe, H100)


def test_a_critic_is_counted_where_there_is_one() -> None:
    settings = {"rmt_train.baseline": "critic", "rmt_train.group_size": 1}
    with_critic, without = (memory(load(RmtRecipe, "qwen3-14b-rmt", given), H100) for given in (settings, {}))
    for phase in ("rmt_train update", "rmt_train rollouts"):
        mine, usual = (next(item for item in needs if item.phase == phase) for needs in (with_critic, without))
        assert set(mine.parts) - set(usual.parts) == {"critic" if "update" in phase else "trainer's critic"}
        assert max(size for name, size in mine.parts.items() if "critic" in name) == 4 * 8 * 5121 * 5122
