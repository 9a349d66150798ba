"""The dual loss in two processes is that of one, at the same rollouts and texts."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tasks.errors import Permanent
from tasks.rmt.worker import run
from tasks.shared.training.accelerate import launcher
from tasks.spine.stage.imports import hide_packages
from tasks.spine.stage.worker import Reporter
from tasks.spine.store.runtime import Runtime
from tests.support import given_rmt_rollouts
from tests.support.guessing import MakeJob
from tests.support.jobs_in_turn import result, run_in_turn

with hide_packages("mlflow", "vllm"):
    import tasks.rmt.trainer as trainer

pytestmark = pytest.mark.slow
TWO = launcher(Runtime(num_processes=2))
WAYS = {
    "grpo": {},
    "sft": {"objective": "sft"},
    "ntp": {"objective": "ntp"},
    "likelihood": {"reward": {"match": "likelihood"}},
    "critic": {"baseline": "critic", "group_size": 1, "slots": 16},
}


def curve(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "out" / "training.jsonl").read_text().splitlines()]


def test_two_processes_train_as_one_does(make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The 3 texts of a step are dealt to the processes, in passes so short that one has more of them than the other."""
    monkeypatch.setattr(trainer.DualTrainer, "_generate_single_turn", given_rmt_rollouts.write)
    jobs = {name: make_job(f"{name}-two", steps=4, micro_batch_tokens=60, **way) for name, way in WAYS.items()}
    run_in_turn("tasks.rmt.worker", list(jobs.values()), tmp_path / "w", TWO, "tests.support.given_rmt_rollouts")
    for way, job in jobs.items():
        one, two = (tmp_path / f"{way}-{count}" for count in ("one", "two"))
        alone = run(make_job(one.name, steps=4, **WAYS[way]), Reporter(one))
        assert result(job)["ledger"] == alone["ledger"]
        for point, expected in zip(curve(two), curve(one), strict=True):
            assert point.keys() == expected.keys()
            for name in point.keys() - {"entropy", "clip_share"}:  # means of micro-batches
                assert point[name] == pytest.approx(expected[name], rel=2e-3, abs=2e-5), (way, name)
        start, *weights = (load_file(folder / "model.safetensors") for folder in (job.model, one / "out", two / "out"))
        assert max((value - start[key]).abs().max().item() for key, value in weights[0].items()) > 5e-3
        for key, value in weights[0].items():
            torch.testing.assert_close(weights[1][key], value, atol=2e-3, rtol=0)


def test_positions_that_cannot_be_shared_are_refused_by_name(
    make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.shared.training.distributed.world_size", lambda: 3)
    monkeypatch.setattr("tasks.shared.training.distributed.join", lambda _: None)
    monkeypatch.setattr("tasks.shared.training.distributed.agreed", lambda make: make())
    with pytest.raises(Permanent, match=r"schedule.positions_per_step=4 cannot be shared by 3 processes"):
        run(make_job("three"), Reporter(tmp_path / "three"))
