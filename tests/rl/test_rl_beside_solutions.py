"""SFT and RL in the same optimiser steps: each step's gradient is the sum of both, and its tokens are counted."""

from pathlib import Path
from typing import Any

import pytest
import torch

from flows.compare import outline
from tasks.recipe.loading import load
from tasks.recipe.merging import RecipeError
from tasks.recipe.rmt import RmtRecipe
from tasks.rl.worker import run
from tasks.spine.stage.imports import hide_packages
from tasks.spine.stage.worker import Reporter
from tests.support.grpo_runs import Crash, curve
from tests.support.rl_jobs import MakeJob
from tests.support.training_rows import rows_of, write_rows

with hide_packages("mlflow", "vllm"):
    from tasks.rl.beside.solutions import SolutionTrainer
    from tasks.shared.training.config import IGNORED

PAIRS = [(f"Q: {number}\nA:", f" it is {'so ' * (number + 1)}#### 3") for number in range(6)]


def with_solutions(make_job: MakeJob, name: str, folder: Path, **settings: Any) -> Any:
    job = make_job(name, **{"steps": 2, "sft_weight": 0.5, "sft_batch_size": 4, **settings})
    return job.model_copy(update={"solutions": write_rows(folder / "train.parquet", rows_of(PAIRS))})


def test_the_gradient_is_that_of_rl_and_the_weighted_mean_over_tokens_of_the_solutions(
    make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[torch.Tensor] = []
    compute = SolutionTrainer._compute_loss

    def checked(self: SolutionTrainer, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        if found:
            return compute(self, model, inputs)
        loss = compute(self, model, inputs)
        given = [parameter.grad.clone() for parameter in model.parameters()]
        model.zero_grad()
        rows = self.text_rows(self.state.global_step)
        total = torch.zeros(())
        for row in rows:
            logits = model(input_ids=torch.from_numpy(row.tokens)[None]).logits[0, :-1]
            labels = torch.from_numpy(row.labels)[1:]
            total = total + torch.nn.functional.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="sum")
        (0.5 * total / sum(row.counted for row in rows)).backward()
        for parameter, gradient in zip(model.parameters(), given, strict=True):
            torch.testing.assert_close(parameter.grad, gradient, atol=1e-4, rtol=1e-3)
        found.append(loss.detach())
        return loss

    monkeypatch.setattr(SolutionTrainer, "_compute_loss", checked)
    job = with_solutions(make_job, "run", tmp_path, steps=1)
    result = run(job.model_copy(update={"sft_micro_batch_tokens": 40}), Reporter(tmp_path / "run"))
    [point] = curve(tmp_path / "run")
    assert point["loss"] == pytest.approx(point["loss_rl"] + 0.5 * point["loss_sft"], abs=1e-4)
    assert result["ledger"]["sft_tokens"] == point["sft_tokens"] > 0


def test_rollouts_that_are_all_wrong_end_no_run_that_learns_solutions(make_job: MakeJob, tmp_path: Path) -> None:
    settings = {"steps": 3, "max_zero_advantage_steps": 2, "max_completion_tokens": 2}
    result = run(with_solutions(make_job, "wrong", tmp_path, **settings), Reporter(tmp_path / "wrong"))
    points = curve(tmp_path / "wrong")
    assert [point["zero_advantage_group_share"] for point in points] == [1.0, 1.0, 1.0]
    assert points[-1]["loss_sft"] < points[0]["loss_sft"]
    assert result["solved"] is False


@pytest.mark.slow
def test_a_restart_goes_on_with_the_solutions_that_come_next(make_job: MakeJob, tmp_path: Path) -> None:
    straight = run(with_solutions(make_job, "straight", tmp_path, steps=4), Reporter(tmp_path / "straight"))
    broken = with_solutions(make_job, "broken", tmp_path, steps=4, save_every_steps=2)
    with pytest.raises(KeyboardInterrupt):
        run(broken, Crash(tmp_path / "broken", at=3))
    resumed = run(broken, Reporter(tmp_path / "broken"))
    assert resumed["resumed_from_step"] == 2
    assert curve(tmp_path / "broken") == curve(tmp_path / "straight")
    assert resumed["ledger"] == straight["ledger"]


def test_an_arm_learns_its_solutions_in_rl_and_not_before() -> None:
    both = {"label": "RL and SFT at once", "midtrain": False, "overrides": {"rl.sft_weight": 0.1}}
    planned = outline("llama-3.2-3b", {"arms": {"both": both, "polya": {"label": "polya"}}})
    datasets = {row.arm: row.ref for row in planned if row.stage == "dataset"}
    assert datasets["both"] == datasets["polya"]
    assert [row.arm for row in planned if row.stage == "midtrain"] == ["polya"]


def test_solutions_and_their_weight_come_together() -> None:
    with pytest.raises(RecipeError, match=r"rl.sft_weight=0.1 needs the solutions of self-generated mid-training"):
        load(RmtRecipe, "tiny-cpu-rmt", {"rl.sft_weight": 0.1})
