"""What reaches TRL of a recipe: its `trl` fields, and none that the project decides."""

import re
from pathlib import Path

import pytest
from pydantic import JsonValue

from tasks.errors import Permanent
from tasks.rl.config import RLConfig, RLJob
from tasks.spine.stage.imports import hide_packages

with hide_packages("mlflow", "vllm"):
    from trl import GRPOConfig

    from tasks.rl.arguments import FIXED, grpo_arguments


def arguments(folder: Path, trl: dict[str, JsonValue]) -> GRPOConfig:
    job = RLJob(model=folder, data=folder, out=folder, checkpoints=folder / "c", device="cpu", config=RLConfig(trl=trl))
    return grpo_arguments(
        job,
        job.config,
        section="rl",
        num_batches=2,
        prompts_per_batch=4,
        max_prompt_tokens=8,
        batch_setting="rl.prompts_per_step",
    )


def test_fields_of_trl_reach_the_trainer_and_the_others_stay_fixed(tmp_path: Path) -> None:
    made = arguments(tmp_path, {"epsilon_high": 0.28, "vllm_importance_sampling_mode": "token_mask"})
    changed = {name: getattr(made, name) for name, value in FIXED.items() if getattr(made, name) != value}
    assert changed == {"epsilon_high": 0.28, "vllm_importance_sampling_mode": "token_mask"}


@pytest.mark.parametrize(
    ("trl", "message"),
    [
        ({"beta": 0.1}, "rl.trl.beta: the project decides this field"),
        ({"learning_rate": 0.1}, "rl.trl.learning_rate: the project decides this field"),
        ({"vllm_mode": "server"}, "rl.trl.vllm_mode: the project decides this field"),
        (
            {"epsilon_hihg": 0.28},
            "rl.trl.epsilon_hihg: TRL's GRPOConfig has no such field; did you mean",
        ),
        ({"auto_find_batch_size": True}, "TRL refuses these arguments: auto_find_batch_size is not supported"),
    ],
)
def test_other_fields_are_refused_by_name(trl: dict[str, JsonValue], message: str, tmp_path: Path) -> None:
    with pytest.raises(Permanent, match=re.escape(message)):
        arguments(tmp_path, trl)
