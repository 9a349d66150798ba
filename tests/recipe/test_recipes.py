"""Recipes that ship: they resolve, their prompts render, what they ask for fits in context and memory."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tasks.dataset.estimate import training_rows
from tasks.estimates.memory import require_fit
from tasks.generate.estimate import generated
from tasks.generate.heuristics import load_heuristics
from tasks.recipe.base import Recipe
from tasks.recipe.loading import RECIPES, load, names
from tasks.recipe.merging import RecipeError
from tasks.recipe.polya import PolyaRecipe
from tasks.recipe.rmt import RmtRecipe
from tasks.shared.costs.devices import device_named
from tasks.shared.models.facts import model_facts
from tasks.shared.models.resolve import EMBEDDED_PATH
from tasks.shared.prompts.render import Renderer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

REAL = [name for name in names("polya") if not name.startswith("tiny-")]
REAL_RMT = [name for name in names("rmt") if not name.startswith("tiny-")]
CHAT = (
    "{% for m in messages %}<|start|>{{ m['role'] }}\n{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)


@cache
def tokenizer() -> "PreTrainedTokenizerBase":
    """The embedded model's; it needs about twice the tokens of a real one, so what fits by it fits by theirs."""
    from transformers import AutoTokenizer

    found = AutoTokenizer.from_pretrained(EMBEDDED_PATH)
    found.chat_template = CHAT
    return found


def renderers(recipe: PolyaRecipe) -> Iterator[Renderer]:
    for style in ("chat", "plain"):
        yield Renderer(recipe.prompt.model_copy(update={"style": style}), tokenizer())


def token_count(text: str) -> int:
    return len(tokenizer()(text)["input_ids"])


@pytest.mark.parametrize("name", names())
def test_every_arm_resolves_and_has_a_label_of_its_own(name: str) -> None:
    recipe = load(Recipe, name)
    for arm in recipe.arms:
        recipe.arm(arm)
    labels = [arm.label for arm in recipe.arms.values()]
    assert len(set(labels)) == len(labels)


def test_a_recipe_of_rmt_with_chains_has_the_arm_that_learns_them() -> None:
    assert "mixed-sft" not in load(RmtRecipe, "qwen3-14b-rmt").arms
    with_chains = load(RmtRecipe, "qwen3-14b-rmt", {"chains": {"source": "chains.jsonl"}})
    assert set(with_chains.arms) == {*RmtRecipe().arms, "mixed-sft"}
    assert with_chains.arm("mixed-sft").rmt_train.chains_per_position == 1
    with pytest.raises(RecipeError, match=r"chains_per_position=1 learns documents of `chains`.*set chains\.source"):
        load(RmtRecipe, "qwen3-14b-rmt", {"rmt_train.objective": "ntp", "rmt_train.chains_per_position": 1})


def settings(values: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(values, dict) and prefix not in ("arms.", "prompt.chat_template_kwargs."):
        for key, value in values.items():
            yield from settings(value, f"{prefix}{key}.")
    else:
        yield prefix[:-1], values


@pytest.mark.parametrize("name", [*REAL, *REAL_RMT])
def test_a_recipe_states_only_what_differs_from_the_defaults(name: str) -> None:
    stated = dict(settings(yaml.safe_load((RECIPES / f"{name}.yaml").read_text())))
    defaults = (PolyaRecipe if name in REAL else RmtRecipe)().model_dump(mode="json")
    stated.pop("method", None)
    for key, value in stated.items():
        default: object = defaults
        for part in key.split("."):
            default = default.get(part) if isinstance(default, dict) else None
        assert value != default, f"{key}={value} is the default"


@pytest.mark.parametrize(
    ("section", "dotted"),
    [
        ({"rl": {"steps": 3}}, {"rl.steps": 3}),
        (
            {"evaluate": {"sampling": {"temperature": 0.5}, "limit": 2}},
            {"evaluate.sampling.temperature": 0.5, "evaluate.limit": 2},
        ),
        ({"rl.lora": {"rank": 4}, "rl": {"lora": {"alpha": 2}}}, {"rl.lora.rank": 4, "rl.lora.alpha": 2}),
        ({"rl": {}}, {}),
        ({"rl": {"steps": 3}, "rl.steps": 4}, {"rl.steps": 4}),
        ({"rl.steps": 4, "rl": {"steps": 3}}, {"rl.steps": 3}),
    ],
)
def test_a_section_sets_what_stands_in_it_as_dotted_keys_do(section: dict[str, Any], dotted: dict[str, Any]) -> None:
    assert load(Recipe, "tiny-cpu", section) == load(Recipe, "tiny-cpu", dotted)


def test_a_mapping_that_is_one_setting_is_replaced() -> None:
    once = {"evaluate.sources": {"svamp": "a.jsonl"}}
    assert load(Recipe, "tiny-cpu", {**once, "evaluate": {"sources": {"gsm8k": "b.jsonl"}}}).evaluate.sources == {
        "gsm8k": "b.jsonl"
    }
    assert load(Recipe, "tiny-cpu", {"arms": {}}).arms == {}
    assert load(Recipe, "tiny-cpu", {"rl.lora": {}}).rl.lora == load(Recipe, "tiny-cpu", {"rl.lora.rank": 64}).rl.lora


def test_setting_one_field_of_sampling_leaves_the_others() -> None:
    before = load(PolyaRecipe, "llama-3.2-3b").evaluate.sampling
    after = load(PolyaRecipe, "llama-3.2-3b", {"evaluate.sampling.max_new_tokens": 99}).evaluate.sampling
    assert after == before.model_copy(update={"max_new_tokens": 99})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("rl.max_dead_steps", "rl.max_zero_advantage_steps"),
        ("rmt_train.max_dead_steps", "rmt_train.max_zero_advantage_steps"),
        ("rl.entropy_coef", "rl.trl.entropy_coef"),
        ("rl.sampler_correction_max", "rl.trl.vllm_importance_sampling_clip_max"),
    ],
)
def test_the_old_name_of_a_setting_is_refused_with_the_new_one_named(old: str, new: str) -> None:
    with pytest.raises(RecipeError, match=f"{old} is not a setting; it is called '{new}' now"):
        load(RmtRecipe, "qwen3-14b-rmt", {old: 2})
    load(RmtRecipe, "qwen3-14b-rmt", {new: 2})


@pytest.mark.parametrize("name", REAL)
def test_prompts_of_every_heuristic_render_and_leave_room(name: str) -> None:
    recipe = load(PolyaRecipe, name)
    question = "How many apples are left? " * 20
    room = model_facts(recipe.model).max_position_embeddings - recipe.generate.sampling.max_new_tokens
    for renderer in renderers(recipe):
        for heuristic in load_heuristics(recipe.generate.heuristics):
            prompt = renderer.heuristic(heuristic, question)
            assert heuristic.instruction.strip() in prompt
            assert prompt.count(question) == 1
            assert all(example.question in prompt for example in heuristic.examples)
            assert token_count(prompt) <= room
        assert token_count(renderer.plain(question)) <= recipe.rl.max_prompt_tokens


@pytest.mark.parametrize("name", REAL)
def test_the_longest_real_questions_and_solutions_fit(name: str, shared_data: Path) -> None:
    """No example of mid-training is cut, and every benchmark prompt leaves room for a whole completion."""
    recipe = load(PolyaRecipe, name)
    longest = max(_questions(shared_data / "gsm8k" / "train.jsonl", "question"), key=len)
    context = model_facts(recipe.model).max_position_embeddings
    for renderer in renderers(recipe):
        prompt = token_count(renderer.plain(longest))
        assert prompt <= recipe.rl.max_prompt_tokens
        assert prompt + recipe.generate.sampling.max_new_tokens <= recipe.midtrain.max_length
        hardest = max(_questions(shared_data / "olympiadbench" / "test.jsonl", "question"), key=len)
        assert token_count(renderer.plain(hardest)) + recipe.evaluate.sampling.max_new_tokens <= context


@pytest.mark.parametrize("name", [*REAL, *REAL_RMT])
def test_every_arm_fits_the_device_that_the_recipe_is_for(name: str) -> None:
    recipe = load(Recipe, name)
    for arm in recipe.arms:
        require_fit(recipe.arm(arm), device_named(recipe.sized_for))


def test_the_papers_recipe_has_the_papers_settings() -> None:
    """What arXiv 2509.24375 publishes, none of it stated in the recipe: all are defaults."""
    recipe = load(RmtRecipe, "qwen3-14b-rmt")
    budget, curriculum = recipe.schedule.budget, recipe.schedule.curriculum
    assert (budget.start, budget.floor, budget.gamma, curriculum.turning_points) == (800, 1, 0.2, (0.3, 0.7))
    assert (recipe.schedule.positions_per_step, recipe.schedule.epochs) == (128, 10)
    rmt = recipe.rmt_train
    assert (rmt.ntp_weight, rmt.group_size, rmt.learning_rate, rmt.max_completion_tokens) == (0.1, 8, 1e-6, 2048)
    assert (recipe.texts.limit, recipe.texts.evaluation_documents) == (4051, 200)


def test_ablations_of_reinforcement_mid_training_change_one_part_each() -> None:
    recipe = load(RmtRecipe, "qwen3-14b-rmt")
    full = recipe.arm("rmt")
    for arm, changed in (("no-budget", {"schedule"}), ("no-curriculum", {"schedule"}), ("no-ntp", {"rmt_train"})):
        ablated = recipe.arm(arm)
        assert {name for name in RmtRecipe.model_fields if getattr(full, name) != getattr(ablated, name)} == changed


def test_ablations_differ_from_the_papers_recipe_in_their_candidates_alone() -> None:
    paper, ablations = load(PolyaRecipe, "llama-3.2-3b"), load(PolyaRecipe, "llama-3.2-3b-ablations")
    same = set(PolyaRecipe.model_fields) - {"name", "description", "arms", "generate", "filter"}
    assert {name for name in same if getattr(paper, name) != getattr(ablations, name)} == set()
    assert paper.generate.sampling == ablations.generate.sampling


@pytest.mark.parametrize("variants", [1, 2, 4, 8, 16, 32, 64])
def test_the_sweep_over_variants_can_be_filled(variants: int) -> None:
    arm = load(PolyaRecipe, "llama-3.2-3b-ablations").arm(f"polya-{variants}")
    assert arm.dataset.variants == variants
    kept = min(arm.filter.keep_per_heuristic, arm.generate.samples_per_heuristic)
    assert kept * len(load_heuristics(arm.generate.heuristics)) >= variants


def test_breadth_and_depth_have_equal_rows() -> None:
    recipe = load(PolyaRecipe, "llama-3.2-3b-ablations")
    assert _rows(recipe.arm("depth")) == _rows(recipe.arm("breadth")) == 7408


def test_star_of_equal_size_has_as_many_candidates_and_rows_as_polya() -> None:
    recipe = load(PolyaRecipe, "llama-3.2-3b-ablations")
    star, polya = recipe.arm("star-16"), recipe.arm("polya-16")
    assert _rows(star) == _rows(polya)
    samples = [
        generated(arm.model, arm.generate, arm.questions, arm.prompt, arm.expected).count for arm in (star, polya)
    ]
    assert samples[0] == samples[1]


def _rows(arm: PolyaRecipe) -> int:
    return training_rows(arm.dataset, arm.filter, arm.generate, arm.questions, arm.expected)


def _questions(path: Path, field: str) -> list[str]:
    return [json.loads(line)[field] for line in path.read_text().splitlines()]


def test_arms_that_are_set_replace_those_of_the_recipe_and_a_section_is_merged() -> None:
    assert list(load(PolyaRecipe, "llama-3.2-3b-ablations", {"arms": {"only": {"label": "x"}}}).arms) == ["only"]
    lora = load(PolyaRecipe, "qwen3-8b-lora", {"rl": {"lora": {"alpha": 5}}}).rl.lora
    assert lora is not None
    assert (lora.rank, lora.alpha) == (32, 5)


@pytest.mark.parametrize("section", ["questions", "rl_questions"])
def test_code_is_evaluated_and_never_training_data(section: str) -> None:
    """No reward is given for it, and outside of the sandbox none of it runs."""
    with pytest.raises(RecipeError, match=rf"{section}: its answers are code, which only evaluate runs"):
        load(PolyaRecipe, "tiny-cpu", {f"{section}.source": "a.jsonl", f"{section}.preset": "mbpp"})


@pytest.mark.parametrize(
    ("key", "value", "shared"),
    [
        ("evaluate.prompt.style", "plain", "prompt.style"),
        ("filter.verification.timeout_s", 3.0, "verification.timeout_s"),
        ("rl.seed", 4, "seed"),
    ],
)
def test_a_shared_setting_given_to_one_stage_is_refused_and_not_lost(key: str, value: Any, shared: str) -> None:
    with pytest.raises(RecipeError, match=rf"{key}: .* set {shared} \(got"):
        load(PolyaRecipe, "tiny-cpu", {key: value})
    changed = load(PolyaRecipe, "tiny-cpu", {shared: value})
    assert load(PolyaRecipe, "tiny-cpu", changed.model_dump(mode="json", exclude={"name"})) == changed
