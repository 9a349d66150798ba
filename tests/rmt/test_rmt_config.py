"""Settings out of range name their field; what RL and this share has not moved RL's identity."""

from typing import Any

import pytest
from pydantic import ValidationError

from tasks.errors import Permanent
from tasks.rmt.checks import check_prompt, check_tokenizer
from tasks.rmt.config import RMTTrainConfig
from tasks.shared.next_token.config import PredictionPrompt
from tasks.shared.next_token.method import BudgetConfig
from tasks.spine.store.fingerprint import canonical


def test_defaults_are_the_papers() -> None:
    config = RMTTrainConfig()
    found = (config.ntp_weight, config.group_size, config.learning_rate, config.max_completion_tokens, config.beta)
    assert found == (0.1, 8, 1e-6, 2048, 0.0)


@pytest.mark.parametrize(
    ("model", "fields", "named"),
    [
        (RMTTrainConfig, {"ntp_weight": -0.1}, "ntp_weight"),
        (RMTTrainConfig, {"objective": "ppo"}, "objective"),
        (RMTTrainConfig, {"group_size": 0}, "group_size"),
        (RMTTrainConfig, {"reward": {"length_weight": 1.5}}, "reward.length_weight"),
        (RMTTrainConfig, {"ntp_overlap_tokens": 2048}, "ntp_overlap_tokens=2048 must be below ntp_context_tokens=2048"),
        (BudgetConfig, {"gamma": 0.0}, "gamma"),
        (BudgetConfig, {"gamma": 1.1}, "gamma"),
    ],
)
def test_values_out_of_range_name_their_field(model: Any, fields: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        model(**fields)


def test_a_schedule_with_another_prompt_is_refused() -> None:
    written = canonical(PredictionPrompt())
    check_prompt(written, PredictionPrompt())
    with pytest.raises(
        Permanent, match=r"another rmt_train.prediction_prompt \(prediction: 'boxed' there, 'bare' here\)"
    ):
        check_prompt(written, PredictionPrompt(prediction="bare"))


def test_a_schedule_of_another_tokenizer_is_refused(run_of_tokens: Any) -> None:
    run = run_of_tokens(9)
    check_tokenizer("a" * 64, "a" * 64, run, 10)
    with pytest.raises(Permanent, match=r"tokenizer b{16}, but the model has a{16}"):
        check_tokenizer("a" * 64, "b" * 64, run, 10)
    with pytest.raises(Permanent, match=r"token 9, but the model has 9 tokens"):
        check_tokenizer("a" * 64, "", run, 9)


@pytest.fixture
def run_of_tokens() -> Any:
    import numpy as np

    from tasks.rmt.rows import Run, ScheduledText

    return lambda largest: Run(1, 1, {}, ["a"], {"a": ScheduledText(np.array([1, largest]), np.array([1]))})
