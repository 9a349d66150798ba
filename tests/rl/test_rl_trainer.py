"""GRPO on a model that guesses digits: it learns, resumes exactly, and stops when it cannot learn."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from tasks.errors import Permanent
from tasks.rl.schedule import plan_batches
from tasks.rl.worker import run
from tasks.spine.stage.imports import hide_packages
from tasks.spine.stage.worker import Reporter
from tests.support import given_rl_rollouts
from tests.support.grpo_runs import Crash, curve, note_prompts
from tests.support.rl_jobs import QUESTIONS, MakeJob

with hide_packages("mlflow", "vllm"):
    from trl import GRPOTrainer
    from trl.trainer.utils import add_fused_lm_head

    import tasks.rl.trainer as trainer
    from tasks.rl import policy_loss
    from tasks.rl.policy_loss import PolicyLoss
    from tasks.rl.scoring import score_rollouts
    from tasks.rl.trainer import GroupTrainer


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Prompts of each batch in the order in which they were asked."""
    return note_prompts(GroupTrainer, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "half"),
    [
        ({"steps": 10}, 5),  # 5 batches of 4 are 2 epochs of 10 questions: a restart exactly between two epochs
        ({"steps": 4, "num_iterations": 2}, 3),  # rollouts are reused in steps 3 and 4, so the checkpoint waits for 4
        ({"steps": 4, "beta": 0.05, "schedule": "linear"}, 2),
    ],
)
def test_2n_steps_are_n_and_a_restart_and_n(
    settings: dict[str, Any], half: int, make_job: MakeJob, asked: list[list[str]], tmp_path: Path
) -> None:
    straight = make_job("straight", **settings)
    run(straight, Reporter(tmp_path / "straight"))
    cursor, steps = list(asked), straight.config.steps
    iterations = straight.config.num_iterations
    order = plan_batches(QUESTIONS, 4, 1, steps, straight.config.seed)
    assert cursor == [[f"Q: {i}\nA:" for i in batch] for batch in order]

    asked.clear()
    broken = make_job("broken", save_every_steps=half, **settings)
    resumed_from = -(-half // iterations) * iterations
    with pytest.raises(KeyboardInterrupt):
        run(broken, Crash(tmp_path / "broken", at=resumed_from + 1))
    first = len(asked)
    result = run(broken, Reporter(tmp_path / "broken"))
    assert result["resumed_from_step"] == resumed_from
    assert asked[: resumed_from // iterations] + asked[first:] == cursor
    assert result["steps"] == steps * iterations

    assert curve(tmp_path / "broken") == curve(tmp_path / "straight")
    assert any(point["grad_norm"] > 0 for point in curve(tmp_path / "straight")[half:])
    ledger = result["ledger"]
    assert ledger["rollouts"] == steps * 16
    assert ledger["correct"] > 0
    weights = [load_file(tmp_path / name / "out" / "model.safetensors") for name in ("straight", "broken")]
    for key in weights[0]:
        assert torch.equal(weights[0][key], weights[1][key]), key


@pytest.mark.slow
def test_it_learns_and_reports(make_job: MakeJob, tmp_path: Path) -> None:
    result = run(make_job("run", steps=40, learning_rate=2e-3, prompts_per_step=8), Reporter(tmp_path / "run"))
    rewards = [point["reward"] for point in curve(tmp_path / "run")]
    assert sum(rewards[:3]) / 3 < 0.6
    assert sum(rewards[-3:]) / 3 > 0.85
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert {
        "reward", "zero_advantage_group_share", "truncation_share", "entropy", "completion_tokens", "clip_share",
        "verdict_correct", "verdict_unparsed", "step_s",
    } <= set(lines[0]["values"])  # fmt: skip
    assert result["ledger"]["rollouts"] == 40 * 32
    assert result["ledger"]["prompts_asked"] == QUESTIONS
    AutoModelForCausalLM.from_pretrained(tmp_path / "run" / "out")


def test_rollouts_end_at_a_stop_text_and_are_not_taken_for_cut(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job("stopped", steps=2, stop=("##",), max_completion_tokens=4)
    assert run(job, Reporter(tmp_path / "stopped"))["ledger"]["truncated"] == 0
    for point in curve(tmp_path / "stopped"):
        assert point["truncation_share"] == 0
        assert point["completion_tokens"] < 4
    with pytest.raises(ValueError, match=r"mask_truncated_completions=true .* stop=\['##'\]"):
        make_job("masked", stop=("##",), mask_truncated_completions=True)


@pytest.mark.slow
def test_a_run_that_has_solved_everything_ends_early_and_well(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job("solved", steps=200, learning_rate=2e-3, prompts_per_step=8, max_zero_advantage_steps=3)
    result = run(job, Reporter(tmp_path / "solved"))
    assert result["solved"]
    assert result["steps"] < 200
    assert [point["reward"] for point in curve(tmp_path / "solved")[-3:]] == [1.0, 1.0, 1.0]
    assert (job.out / "model.safetensors").exists()


def test_rollouts_beyond_the_context_are_refused_before_the_start(make_job: MakeJob, tmp_path: Path) -> None:
    with pytest.raises(Permanent, match=r"rl.max_completion_tokens=3072 takes 3079 tokens.* context is 1024"):
        run(make_job("long", max_completion_tokens=3072), Reporter(tmp_path / "long"))


def test_a_run_whose_groups_all_have_zero_advantage_stops_and_says_why(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job("zero-advantage", max_zero_advantage_steps=3, max_completion_tokens=2)
    with pytest.raises(Permanent, match=r"rl step 3: .*max_zero_advantage_steps=3 .*every rollout is wrong"):
        run(job, Reporter(tmp_path / "zero-advantage"))
    lines = [json.loads(line) for line in (tmp_path / "zero-advantage" / "metrics.jsonl").read_text().splitlines()]
    assert [line["values"]["truncation_share"] for line in lines] == [1.0, 1.0, 1.0]
    # No rollout moves the policy; the one that is scored for the graph is no measurement of it.
    assert not any("entropy" in line["values"] for line in lines)


def test_a_loss_that_is_not_a_number_stops_with_its_cause(
    make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = GroupTrainer._compute_loss

    def broken_at_step_2(self: GroupTrainer, model: Any, inputs: Any) -> torch.Tensor:
        return original(self, model, inputs) * (float("nan") if self.state.global_step == 1 else 1.0)

    monkeypatch.setattr(GroupTrainer, "_compute_loss", broken_at_step_2)
    with pytest.raises(Permanent, match=r"rl step 2: loss is nan; lower rl.learning_rate=0.003"):
        run(make_job("nan"), Reporter(tmp_path / "nan"))


@pytest.mark.slow
def test_micro_batches_do_not_change_the_first_gradient(
    make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    norms = []
    passes: list[int] = []
    backward = GroupTrainer._backward
    monkeypatch.setattr(GroupTrainer, "_backward", lambda *given: passes.append(1) or backward(*given))
    for tokens in (0, 50):
        for loss_type in ("dapo", "grpo"):
            name = f"{loss_type}-{tokens}"
            settings = {"loss_type": loss_type, "beta": 0.05}
            run(make_job(name, micro_batch_tokens=tokens, steps=1, **settings), Reporter(tmp_path / name))
            norms.append(curve(tmp_path / name)[0]["grad_norm"])
        assert (not passes) == (tokens == 0), "backward passes besides the last one"
    assert norms[:2] == pytest.approx(norms[2:], rel=1e-3)
    assert min(norms) > 0


@pytest.mark.slow
@pytest.mark.parametrize("top", [{}, {"top_entropy_quantile": 0.4}], ids=["all", "highest"])
def test_what_entropy_weighs_and_chooses_does_not_depend_on_how_rollouts_fall_into_micro_batches(
    top: dict[str, float], make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mean of each pass would weigh a token by the lengths of the rollouts beside it."""
    monkeypatch.setattr(GroupTrainer, "_generate_single_turn", given_rl_rollouts.write)
    weights = []
    for tokens in (0, 40, 25):
        settings = {"loss_type": "grpo", "trl": {"entropy_coef": 100.0, **top}, "max_grad_norm": 0.0, "steps": 1}
        # Beside so large an epsilon, Adam's step is the gradient.
        job = make_job(f"{tokens}", micro_batch_tokens=tokens, learning_rate=0.1, adam_epsilon=1e3, **settings)
        run(job, Reporter(tmp_path / f"{tokens}"))
        weights.append(load_file(job.out / "model.safetensors"))
    start = load_file(job.model / "model.safetensors")
    moved = [{name: values[name] - start[name] for name in start} for values in weights]
    most = max(float(change.abs().max()) for change in moved[0].values())
    assert most > 1e-5
    for other in moved[1:]:
        for name, change in moved[0].items():
            torch.testing.assert_close(other[name], change, rtol=0, atol=2e-3 * most)


def test_an_update_reads_no_rollouts_of_groups_without_an_advantage(
    make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    moving: list[int] = []
    score, loss = policy_loss.score_rollouts, PolicyLoss._compute_loss

    def scored(model: Any, input_ids: torch.Tensor, *others: Any) -> Any:
        read.append(len(input_ids))
        return score(model, input_ids, *others)

    def counted(self: PolicyLoss, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        moving.append(int((inputs["advantages"] != 0).sum()))
        return loss(self, model, inputs)

    monkeypatch.setattr(policy_loss, "score_rollouts", scored)
    monkeypatch.setattr(PolicyLoss, "_compute_loss", counted)
    run(make_job("run", steps=5), Reporter(tmp_path / "run"))
    assert read == [max(1, count) for count in moving]
    assert 0 < sum(moving) < 5 * 16


def written_with_probabilities(host: GroupTrainer, *arguments: Any) -> tuple[list[list[int]], list[list[float]]]:
    """Rollouts of a rule, and log-probabilities as another engine might report them."""
    rows, _ = given_rl_rollouts.write(host, *arguments)
    return rows, [[-4.0 - (row + place) % 3 for place in range(len(ids))] for row, ids in enumerate(rows)]


def let_another_engine_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainers take rollouts as they do vLLM's from now on."""
    make = trainer.make_trainer

    def made_so(*arguments: Any) -> GroupTrainer:
        made = make(*arguments)
        made.use_vllm = True
        return made

    monkeypatch.setattr(trainer, "make_trainer", made_so)
    monkeypatch.setattr(GroupTrainer, "_generate_single_turn", written_with_probabilities)


@pytest.mark.slow
@pytest.mark.parametrize("iterations", [1, 2])
def test_the_gap_to_vllm_is_told_where_nothing_corrects_it(
    iterations: int, make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_another_engine_write(monkeypatch)
    gaps = {}
    for corrected in (True, False):
        settings = {"steps": 1, "num_iterations": iterations, "trl": {"vllm_importance_sampling_correction": corrected}}
        run(make_job(f"{corrected}", **settings), Reporter(tmp_path / f"{corrected}"))
        gaps[corrected] = curve(tmp_path / f"{corrected}")[0]["sampler_gap"]
    assert gaps[True] > 1
    # TRL's mean is that of all rollouts, and of those that move the policy otherwise.
    assert gaps[False] == pytest.approx(gaps[True], rel=1e-6 if iterations == 1 else 0.2)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["sequence_mask", "sequence_truncate", "token_mask", "token_truncate"])
def test_the_ratio_to_vllm_is_read_from_the_update_itself_with_the_gradient_of_a_pass_ahead_of_it(
    mode: str, make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    score = PolicyLoss._get_per_token_logps_and_entropies
    passes: list[bool] = []

    def noted(self: PolicyLoss, *arguments: Any, **options: Any) -> Any:
        passes.append(torch.is_grad_enabled())
        return score(self, *arguments, **options)

    let_another_engine_write(monkeypatch)
    monkeypatch.setattr(PolicyLoss, "_get_per_token_logps_and_entropies", noted)
    settings = {"steps": 1, "trl": {"vllm_importance_sampling_mode": mode, "vllm_importance_sampling_clip_max": 1.5}}
    run(make_job("one-pass", **settings), Reporter(tmp_path / "one-pass"))
    assert passes == [True]
    monkeypatch.delattr(PolicyLoss, "_generate_and_score_completions")
    run(make_job("two-passes", **settings), Reporter(tmp_path / "two-passes"))
    assert passes == [True, False, True]
    [point], [expected] = curve(tmp_path / "one-pass"), curve(tmp_path / "two-passes")
    for name in ("loss", "grad_norm", "importance_ratio", "importance_ratio_min", "sampler_gap"):
        assert point[name] == pytest.approx(expected[name], rel=1e-4), name
    assert point["grad_norm"] > 0
    assert point["importance_ratio"] < 1.5
    weights = [load_file(tmp_path / name / "out" / "model.safetensors") for name in ("one-pass", "two-passes")]
    for key, weight in weights[0].items():
        torch.testing.assert_close(weight, weights[1][key], atol=1e-6, rtol=0)


def test_rollouts_are_scored_as_trl_scores_them(guesser: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(guesser)
    add_fused_lm_head(model, temperature=0.7, outputs=("log_probs", "entropy"))
    torch.manual_seed(0)
    rows, prompt_width, width = 9, 11, 14
    ids = torch.randint(2, 250, (rows, prompt_width + width))
    mask = torch.zeros_like(ids)
    for row in range(rows):
        mask[row, prompt_width - 3 - row % 5 : prompt_width + 1 + row] = 1
    ids[mask == 0] = 1
    mask[4, prompt_width:] = 0  # a rollout that mask_truncated_completions has emptied
    weights = torch.randn(rows, 1)

    class Host:
        accelerator = type("Accelerator", (), {"autocast": staticmethod(torch.enable_grad)})

    expected = GRPOTrainer._get_per_token_logps_and_entropies.__wrapped__(
        Host, model, ids, mask, width, compute_entropy=True
    )
    (expected[0] * weights).sum().backward()
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    log_probs, entropy = score_rollouts(model, ids, mask, width, tokens_per_pass=40)
    (log_probs * weights).sum().backward()
    for found, reference in zip((log_probs, entropy), expected[:2], strict=True):
        torch.testing.assert_close(found, reference, atol=1e-4, rtol=0)
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, atol=1e-4, rtol=1e-4)
