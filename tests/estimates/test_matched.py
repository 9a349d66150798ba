"""An arm of RL alone spends as many operations as another arm in all."""

import pytest

from flows.compare import outline
from tasks.estimates.matched import MEASURING
from tasks.estimates.stages import outlined_cost
from tasks.recipe.loading import load
from tasks.recipe.merging import RecipeError
from tasks.recipe.polya import PolyaRecipe
from tasks.shared.costs.devices import device_named
from tasks.spine.stage.plan import PlannedStage

H100 = device_named("h100-80g")
VANILLA = {"label": "RL from base", "midtrain": False}
MATCHED = {"label": "RL from base, equal compute", "midtrain": False, "compute_of": "polya"}
ARMS = {"vanilla": VANILLA, "matched": MATCHED, "polya": {"label": "RL from mid-trained"}}


def spent(rows: list[PlannedStage], arm: str) -> float:
    calls = {row.ref: row for row in rows if row.arm == arm and row.stage not in MEASURING}
    return sum(outlined_cost(row, H100).flops for row in calls.values())


@pytest.mark.parametrize("changes", [{}, {"rl.num_iterations": 2}, {"midtrain.epochs": 3}])
def test_rl_from_the_base_spends_what_the_other_arm_does_to_less_than_a_step(changes: dict[str, int]) -> None:
    rows = outline("llama-3.2-3b", {"arms": ARMS, **changes})
    of_rl = {row.arm: row for row in rows if row.stage == "rl"}
    steps, plain = of_rl["matched"].config.steps, of_rl["vanilla"].config
    assert plain.steps == 0
    assert of_rl["matched"].config.model_copy(update={"steps": 0}) == plain
    one_step = outlined_cost(of_rl["matched"], H100).flops / steps
    assert 0 <= spent(rows, "matched") - spent(rows, "polya") < one_step
    assert spent(rows, "polya") > 1.05 * spent(rows, "vanilla")


def test_steps_follow_from_settings_and_not_from_the_machine() -> None:
    def steps(**runtime: object) -> int:
        rows = outline("llama-3.2-3b", {"arms": ARMS, "rl.num_iterations": 2, **runtime}, arms=["matched"])
        return next(row.config.steps for row in rows if row.stage == "rl")

    assert steps(**{"runtime.device": "cpu", "runtime.engine": "transformers"}) == steps()


def test_the_other_method_has_such_an_arm_too() -> None:
    arms = {"rmt": {"label": "RMT", "rl": True}}
    arms["ntr"] = {"label": "RL from base", "train": False, "rl": True, "compute_of": "rmt"}
    rows = outline("qwen3-14b-rmt", {"arms": arms, "run_arms": list(arms)})
    rl = next(row for row in rows if row.stage == "rl" and row.arm == "ntr")
    of_rl = outlined_cost(rl, H100).flops
    assert 0 <= of_rl - spent(rows, "rmt") < of_rl / rl.config.steps


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        ({"compute_of": "poyla"}, r"arms.matched.compute_of: no arm 'poyla'.*'polya'"),
        ({"compute_of": "matched"}, r"'matched' follows another arm itself"),
        ({"rl": False}, r"compute_of='polya' is spent on RL, which this arm has not; set rl: true"),
        ({"overrides": {"rl.steps": 3}}, r"compute_of='polya' decides rl.steps; take rl.steps out"),
    ],
)
def test_an_arm_that_cannot_be_matched_is_refused(arm: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load(PolyaRecipe, "llama-3.2-3b", {"arms": ARMS | {"matched": {**MATCHED, **arm}}})


def test_a_set_of_unknown_size_is_named_with_the_arm() -> None:
    own = {"questions.source": "my.jsonl", "questions.preset": "", "questions.fields": {"question": "q", "answer": "a"}}
    with pytest.raises(RecipeError, match=r"compute_of='polya': questions: .*; or state rl.steps in its overrides"):
        outline("llama-3.2-3b", {"arms": ARMS, **own})
