"""The stage with a reward model: every sample is scored once, under the bare question."""

from pathlib import Path

import pytest

from tasks.evaluate.config import EvaluateConfig
from tasks.evaluate.schema import REWARDED, SAMPLES_FILE
from tasks.evaluate.task import measure
from tasks.filter.adherence.scores import REWARD_MODEL
from tasks.shared.models.task import import_model
from tasks.spine.store.runtime import Runtime
from tests.support.classifier import save_classifier
from tests.support.small_world import TINY, small_world
from tests.support.tables import check_schema


@pytest.mark.slow
def test_a_reward_model_scores_every_sample_and_its_choice_has_an_interval(tmp_path: Path) -> None:
    settings = {"benchmarks": ["tiny-dev"], "samples": 4, "sampling": {"max_new_tokens": 48}, "prompt": TINY}
    source = {"source": str(save_classifier(tmp_path / "classifier"))}
    config = EvaluateConfig.model_validate(settings | {"reward_model": {"model": source}})
    with small_world(tmp_path / "home") as world:
        runtime = Runtime(device="cpu", num_verifiers=1)
        assert config.reward_model
        reward_model = import_model(config.reward_model.model, runtime, classifies=True)
        parents = {"model": world.model, "questions.tiny-dev": world.questions, REWARD_MODEL: reward_model}
        ref = measure(config, runtime, **parents)
        check_schema(world.store.local(ref) / SAMPLES_FILE, REWARDED)
        rows = world.rows(ref, SAMPLES_FILE)
        assert all((row["reward"] is None) == (row["sample_index"] == -1) for row in rows)
        assert len({row["reward"] for row in rows}) > 10
        scores = world.store.manifest(ref).summary["scores"]["tiny-dev"]
    assert scores["best@4_low"] <= scores["best@4"] <= scores["pass@4"]
    assert "reward_model" not in EvaluateConfig.model_validate(settings).identity_payload()
