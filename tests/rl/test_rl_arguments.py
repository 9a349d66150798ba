"""Settings that keep TRL's names reach TRL; all others of its arguments stay as the project fixes them."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tasks.rl.config import RLConfig, RLJob
from tasks.shared.training.config import TRLSettings
from tasks.spine.stage.imports import hide_packages

with hide_packages("mlflow", "vllm"):
    from trl import GRPOConfig

    from tasks.rl import arguments as rl_arguments
    from tasks.rl.arguments import FIXED, grpo_arguments


def arguments(folder: Path, **trl: Any) -> GRPOConfig:
    config = RLConfig(trl=TRLSettings(**trl))
    job = RLJob(model=folder, data=folder, out=folder, checkpoints=folder / "c", device="cpu", config=config)
    return grpo_arguments(
        job,
        job.config,
        num_batches=2,
        prompts_per_batch=4,
        longest_prompt=8,
        batch_setting="rl.prompts_per_step",
    )


def test_settings_reach_the_trainer_and_the_others_stay_fixed(tmp_path: Path) -> None:
    wanted = {**TRLSettings().model_dump(), "epsilon_high": 0.28, "vllm_importance_sampling_mode": "token_mask"}
    made = arguments(tmp_path, epsilon_high=0.28, vllm_importance_sampling_mode="token_mask")
    assert {name: getattr(made, name) for name in wanted} == wanted
    assert {name: getattr(made, name) for name in FIXED} == FIXED


def test_a_training_by_entropy_is_another_than_when_each_pass_had_its_own_mean_and_all_others_keep_their_keys() -> None:
    assert TRLSettings().identity_payload().keys() == TRLSettings.model_fields.keys()
    for by_entropy in ({"entropy_coef": 0.1}, {"top_entropy_quantile": 0.2}):
        assert TRLSettings(**by_entropy).identity_payload()["entropy_over"] == "step"


def test_vllm_beside_the_trainer_gets_what_the_runtime_says_under_names_that_trl_has(tmp_path: Path) -> None:
    places = {"model": tmp_path, "data": tmp_path, "out": tmp_path, "checkpoints": tmp_path / "c"}
    config = RLConfig(max_completion_tokens=100)
    job = RLJob(**places, config=config, vllm_memory_share=0.45, trust_remote_code=True)
    made = rl_arguments._vllm(job, config, 28, ["\n\n"])
    assert made.keys() <= {field.name for field in fields(GRPOConfig)}
    assert made["vllm_max_model_length"] == 28 + 100
    assert (made["vllm_gpu_memory_utilization"], made["trust_remote_code"]) == (0.45, True)
    assert (made["vllm_mode"], made["vllm_enable_sleep_mode"]) == ("colocate", True)
    assert made["vllm_model_impl"] == "auto", "vLLM's own default, as where samples are generated"
    assert made["generation_kwargs"] == {"stop": ["\n\n"]}
    assert rl_arguments._vllm(job, config, 28, ())["generation_kwargs"] is None


def test_division_by_the_mean_reward_is_done_here_and_trl_divides_by_nothing(tmp_path: Path) -> None:
    assert arguments(tmp_path, scale_rewards="mean").scale_rewards == "none"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epsilon", 1.5),
        ("epsilon", 0.0),
        ("scale_rewards", "grup"),
        ("importance_sampling_level", "seq"),
        ("entropy_coef", -0.1),
        ("top_p", 0.0),
        ("vllm_importance_sampling_mode", "none"),
        ("vllm_importance_sampling_clip_max", 1.0),
        ("max_steps", 3),
        ("use_adaptive_entropy", True),
    ],
)
def test_values_out_of_range_and_other_fields_are_refused_before_any_stage(name: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=name):
        RLConfig.model_validate({"trl": {name: value}})
