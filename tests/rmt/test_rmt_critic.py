"""One rollout of each position and a critic: values come from before, advantages are what is left, and it learns."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from pydantic import ValidationError
from transformers import AutoModelForCausalLM

from tasks.errors import Permanent
from tasks.recipe.loading import load
from tasks.recipe.rmt import RmtRecipe
from tasks.rmt.config import CriticConfig, RMTTrainConfig
from tasks.rmt.critic import Critic, advantages, explained_variance, last_states
from tasks.rmt.worker import run
from tasks.shared.training.lm_head import add_state_head
from tasks.spine.stage.imports import hide_packages
from tasks.spine.stage.worker import Reporter
from tasks.spine.store.fingerprint import fingerprint
from tests.support.grpo_runs import curve
from tests.support.guessing import MakeJob
from tests.support.paths import ROOT
from tests.support.random_model import save_random_model

with hide_packages("mlflow", "vllm"):
    from tasks.rmt.critic_trainer import CriticTrainer

CRITIC = {"baseline": "critic", "group_size": 1}
SIZE = 8


@pytest.fixture
def critic() -> Critic:
    """A critic that has seen nothing."""
    return Critic(SIZE, CriticConfig(), torch.device("cpu"))


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, torch.Tensor]]:
    """What each step of a run was judged by, and its advantages."""
    steps: list[dict[str, torch.Tensor]] = []
    judge = CriticTrainer._judged

    def noting(self: Any, states: torch.Tensor, rewards: torch.Tensor) -> torch.Tensor:
        before = self._critic.moments.clone()
        advantages = judge(self, states, rewards)
        steps.append({"states": states, "rewards": rewards, "before": before, "advantages": advantages})
        return advantages

    monkeypatch.setattr(CriticTrainer, "_judged", noting)
    return steps


def noise(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_it_learns_what_states_tell(critic: Critic) -> None:
    slope = noise(0, SIZE)
    told = []
    for step in range(12):
        states = torch.nn.functional.normalize(noise(step + 1, 64, SIZE), dim=1)
        rewards = states @ slope + 0.1 * noise(step + 100, 64)
        told.append(explained_variance(rewards, critic.values(states, rewards)))
        critic.learn(states, rewards)
    assert told[0] < 0
    assert min(told[1:]) > 0.7
    assert min(told[-3:]) > 0.9


def test_explained_variance_is_the_share_that_values_tell_whatever_their_level() -> None:
    rewards = torch.tensor([0.0, 0.0, 1.0, 1.0])
    values = {"all": rewards + 3, "nothing": torch.full((4,), 0.5), "half of each": rewards / 2}
    told = {name: explained_variance(rewards, value) for name, value in values.items()}
    assert told == pytest.approx({"all": 1.0, "nothing": 0.0, "half of each": 0.75})


def test_advantages_are_what_values_leave_and_none_where_rewards_are_equal() -> None:
    rewards, values = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.5, 0.5, 0.0])
    assert advantages(rewards, values, scaled=False).tolist() == [0.5, -0.5, 0.0]
    assert advantages(rewards, values, scaled=True).tolist() == pytest.approx([1.0, -1.0, 0.0], abs=1e-3)
    assert advantages(torch.ones(3), values, scaled=True).tolist() == [0.0] * 3


def test_what_a_rollout_earned_does_not_move_its_own_value(critic: Critic) -> None:
    """Else the baseline would follow the rollout that it judges, and gradients would be wrong on average."""
    for _ in range(2):
        states, rewards = noise(1, 6, SIZE), torch.rand(6)
        other = rewards.clone()
        other[2] += 5
        assert critic.values(states, other)[2] == pytest.approx(float(critic.values(states, rewards)[2]))
        critic.learn(states, rewards)


def test_earlier_steps_fade() -> None:
    states = torch.zeros(4, SIZE)
    values = {}
    for decay in (0.5, 1.0):
        critic = Critic(SIZE, CriticConfig(decay=decay), torch.device("cpu"))
        for reward in (0.0, 1.0):
            critic.learn(states, torch.full((4,), reward))
        values[decay] = float(critic.values(states, torch.rand(4))[0])
    assert values == pytest.approx({0.5: 2 / 3, 1.0: 0.5})


def test_states_are_those_of_the_last_token_of_each_prompt(tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(save_random_model(tmp_path)).eval()
    prompts = [[5, 6, 7], [8], [9, 10, 11, 12, 13], [5, 6]]
    with torch.no_grad():
        alone = [model.base_model(torch.tensor([prompt])).last_hidden_state[0, -1] for prompt in prompts]
    ids, mask = torch.full((4, 6), 1), torch.zeros(4, 6, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, -len(prompt) :], mask[row, -len(prompt) :] = torch.tensor(prompt), 1
    add_state_head(model)
    for tokens_per_pass in (6, 100):
        torch.testing.assert_close(last_states(model, ids, mask, tokens_per_pass), torch.stack(alone))


@pytest.mark.parametrize("scale", ["group", "none"])
def test_advantages_are_rewards_minus_values_of_before(
    scale: str, make_job: MakeJob, judged: list[dict[str, torch.Tensor]], tmp_path: Path
) -> None:
    run(make_job("run", steps=3, slots=8, trl={"scale_rewards": scale}, **CRITIC), Reporter(tmp_path / "run"))
    assert len(judged) == 3
    knows = Critic(judged[0]["states"].shape[1], CriticConfig(), torch.device("cpu"))
    for step, point in zip(judged, curve(tmp_path / "run"), strict=True):
        states, rewards = step["states"], step["rewards"]
        assert torch.equal(knows.moments, step["before"])
        values = knows.values(states, rewards)
        left = rewards - values
        if scale == "group":
            left = left / (left.std() + 1e-4)
        torch.testing.assert_close(step["advantages"], left.float())
        assert point["reward"] == pytest.approx(float(rewards.mean()), abs=1e-5)
        assert point["value"] == pytest.approx(float(values.mean()), abs=1e-5)
        assert point["explained_variance"] == pytest.approx(explained_variance(rewards, values), abs=1e-5)
        assert point["zero_advantage_group_share"] == 0
        knows.learn(states, rewards)


@pytest.mark.slow
def test_one_rollout_of_each_position_is_enough_to_learn_from(make_job: MakeJob, tmp_path: Path) -> None:
    # Without next-token loss, which would teach the answer itself.
    job = make_job("run", steps=24, slots=32, learning_rate=2e-3, ntp_weight=0.0, **CRITIC)
    ledger, points = run(job, Reporter(tmp_path / "run"))["ledger"], curve(tmp_path / "run")
    assert sum(point["match"] for point in points[:2]) / 2 < 0.5
    assert sum(point["match"] for point in points[-3:]) / 3 > 0.85
    assert ledger["rollouts"] == ledger["drawn_positions"] == 24 * 32


def test_rewards_that_are_all_equal_teach_nothing_and_stop_the_run(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job("equal", max_zero_advantage_steps=2, max_completion_tokens=1, ntp_weight=0.0, **CRITIC)
    with pytest.raises(
        Permanent, match=r"rmt_train step 2: .*=2 batches all rollouts had one reward.*schedule\.positions_per_step"
    ):
        run(job, Reporter(tmp_path / "equal"))


def test_right_rollouts_are_learned_without_a_critic_where_a_recipe_has_one(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job("sft", steps=3, slots=8, objective="sft", **CRITIC)
    ledger = run(job, Reporter(tmp_path / "sft"))["ledger"]
    assert ledger["rollouts"] == ledger["drawn_positions"] == 3 * 8
    assert all("value" not in point for point in curve(tmp_path / "sft"))


def test_a_batch_of_one_rollout_is_refused(make_job: MakeJob, tmp_path: Path) -> None:
    with pytest.raises(Permanent, match=r"schedule\.positions_per_step=1 .*set .* to 2 or more"):
        run(make_job("one", slots=1, **CRITIC), Reporter(tmp_path / "one"))


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"group_size": 1}, r"group_size=1 .*baseline=critic"),
        ({"baseline": "critic"}, r"group_size=8: .*set group_size=1, .*positions_per_step by 8"),
        ({**CRITIC, "trl": {"scale_rewards": "mean"}}, r"trl\.scale_rewards=mean .* to batch or none"),
        ({**CRITIC, "critic": {"ridge": 0}}, r"critic\.ridge"),
    ],
)
def test_what_a_critic_does_not_go_with_is_refused(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        RMTTrainConfig(**fields)


def test_a_critic_is_part_of_the_identity_and_groups_are_known_without_it() -> None:
    def key(**fields: Any) -> str:
        return fingerprint("rmt_train", 3, RMTTrainConfig(**fields), {})

    assert key() == key(critic={"ridge": 2})
    assert len({key(), key(group_size=2), key(**CRITIC), key(**CRITIC, critic={"ridge": 2})}) == 4
    # Arms without advantages stand in recipes with a critic.
    assert key(**CRITIC, objective="ntp") == key(**CRITIC, objective="ntp", critic={"ridge": 2})


def test_the_arm_of_the_recipes_page_writes_as_many_rollouts_as_groups_do() -> None:
    page = (ROOT / "deployments/recipes/README.md").read_text()
    [(recipe, block)] = re.findall(r"<!-- arms of rmt: (\S+) -->\n```yaml\n(.*?)```", page, re.DOTALL)
    [critic] = (arm for name, arm in yaml.safe_load(block)["arms"].items() if name == "critic")
    groups, single = (load(RmtRecipe, recipe, settings) for settings in ({}, critic["overrides"]))
    assert (groups.rmt_train.baseline, single.rmt_train.baseline) == ("group", "critic")
    rollouts = [each.schedule.positions_per_step * each.rmt_train.group_size for each in (groups, single)]
    assert rollouts == [1024, 1024]
