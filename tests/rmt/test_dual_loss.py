"""Gradients of a whole optimiser step against slow references: rows one by one, all logits, and autograd alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, TrainerCallback

from tasks.rmt.config import RMTJob
from tasks.rmt.rows import read_run
from tasks.rmt.worker import make_grader
from tasks.shared.engines.tokens import load_tokenizer
from tasks.shared.training.models import load
from tasks.spine.stage.imports import hide_packages
from tasks.spine.stage.worker import Reporter
from tests.support.guessing import MakeJob

with hide_packages("mlflow", "vllm"):
    from tasks.rl.arguments import grpo_arguments
    from tasks.rl.beside.rows import TextRow
    from tasks.rl.beside.texts import next_token_loss, text_passes
    from tasks.rl.trainer import GroupTrainer
    from tasks.rmt.trainer import DualTrainer, make_trainer
    from tasks.shared.training.lm_head import use_compact_head

pytestmark = pytest.mark.slow
Gradients = dict[str, torch.Tensor]
PLAIN = {"max_grad_norm": 0.0, "temperature": 0.8}


class Keep(TrainerCallback):
    """Keeps the gradient of every optimiser step."""

    def __init__(self) -> None:
        self.gradients: list[Gradients] = []

    def on_pre_optimizer_step(self, *_: Any, model: torch.nn.Module, **__: Any) -> None:
        self.gradients.append({name: p.grad.clone() for name, p in model.named_parameters()})


def trained(job: RMTJob, folder: Path) -> tuple[DualTrainer, list[Gradients], list[dict[str, torch.Tensor]]]:
    """A finished trainer, its gradients, and the rollouts of its last step by micro-batch."""
    model, tokenizer = load(job)
    run = read_run(job.data)
    grader = make_grader(model, tokenizer, job.config)
    trainer = make_trainer(
        model, tokenizer, run, grader, job, Reporter(folder), longest_prompt=100, context_tokens=1024
    )
    keep = Keep()
    trainer.add_callback(keep)
    trainer.train()
    return trainer, keep.gradients, trainer._buffered_inputs or []


def log_probs(model: torch.nn.Module, ids: torch.Tensor, temperature: float) -> torch.Tensor:
    """Log-probability of each token but the first, from all logits."""
    logits = model(input_ids=ids[None], use_cache=False).logits[0, :-1].double() / temperature
    return logits.log_softmax(-1).gather(1, ids[1:, None])[:, 0]


def rollouts(batches: list[dict[str, torch.Tensor]]) -> list[tuple[torch.Tensor, int, int]]:
    """(tokens, prompt length, row) of each rollout."""
    found = []
    for batch in batches:
        for row in range(len(batch["prompt_ids"])):
            prompt = batch["prompt_ids"][row][batch["prompt_mask"][row].bool()]
            completion = batch["completion_ids"][row][batch["completion_mask"][row].bool()]
            found.append((torch.cat([prompt, completion]), len(prompt), row))
    return found


def reference_rl(model: torch.nn.Module, batches: list[dict[str, torch.Tensor]], weights: str) -> torch.Tensor:
    """Policy gradient of the first step (every ratio is 1): sum of A log pi over the tokens, by their number."""
    advantages = torch.cat([batch[weights] for batch in batches]).tolist()
    rows = rollouts(batches)
    total = sum(a * log_probs(model, ids, 0.8)[n - 1 :].sum() for a, (ids, n, _) in zip(advantages, rows, strict=True))
    counted = sum(len(ids) - n for a, (ids, n, _) in zip(advantages, rows, strict=True) if weights != "matched" or a)
    return -total / counted


def reference_text(model: torch.nn.Module, job: RMTJob, step: int, *, drawn: bool) -> torch.Tensor:
    """Plain language-model loss over a step's documents."""
    run = read_run(job.data)
    losses = []
    for name in run.documents_of(step):
        text = run.texts[name]
        scored = log_probs(model, torch.from_numpy(text.tokens), 1.0)
        keep = [i for i in range(1, len(text.tokens)) if drawn or i not in text.drawn.tolist()]
        losses.append(-scored[[i - 1 for i in keep]])
    return torch.cat(losses).mean()


def check(model: torch.nn.Module, loss: torch.Tensor, found: Gradients) -> None:
    loss.backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad.float(), atol=2e-5, rtol=1e-3, msg=name)
    assert max(gradient.abs().max() for gradient in found.values()) > 1e-2


@pytest.mark.parametrize("tokens", [0, 60, 200], ids="micro-batches of {} tokens".format)
def test_the_dual_gradient_is_that_of_a_slow_reference(tokens: int, make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job("dual", steps=1, slots=4, ntp_weight=0.3, micro_batch_tokens=tokens, **PLAIN)
    trainer, [found], batches = trained(job, tmp_path / "dual")
    assert len(read_run(job.data).documents_of(0)) == 3
    model = AutoModelForCausalLM.from_pretrained(job.model)
    rl, text = reference_rl(model, batches, "advantages"), reference_text(model, job, 0, drawn=False)
    check(model, rl + 0.3 * text, found)
    [entry] = [line for line in trainer.state.log_history if "loss" in line]
    assert entry["loss_ntp"] == pytest.approx(text.item(), rel=1e-4)
    assert entry["loss"] == pytest.approx(entry["loss_rl"] + 0.3 * entry["loss_ntp"], rel=1e-4)


@pytest.mark.parametrize("tokens", [0, 60], ids="micro-batches of {} tokens".format)
def test_mixed_fine_tuning_is_cross_entropy_on_right_rollouts(tokens: int, make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job("sft", steps=1, slots=4, objective="sft", micro_batch_tokens=tokens, **PLAIN)
    trainer, [found], batches = trained(job, tmp_path / "sft")
    assert 0 < sum(int(batch["matched"].sum()) for batch in batches) < 16
    model = AutoModelForCausalLM.from_pretrained(job.model)
    rl, text = reference_rl(model, batches, "matched"), reference_text(model, job, 0, drawn=False)
    check(model, rl + 0.1 * text, found)
    [entry] = [line for line in trainer.state.log_history if "loss" in line]
    assert entry["loss_rl"] == pytest.approx(rl.item(), rel=1e-4)


def test_without_rollouts_it_is_plain_language_model_training(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job("ntp", steps=3, slots=4, objective="ntp", **PLAIN)
    trainer, found, _ = trained(job, tmp_path / "ntp")
    model = AutoModelForCausalLM.from_pretrained(job.model)
    decays = trainer.get_decay_parameter_names(model)
    groups = [
        {"params": [p for name, p in model.named_parameters() if (name in decays) == decayed], "weight_decay": decay}
        for decayed, decay in ((True, job.config.weight_decay), (False, 0.0))
    ]
    optimizer = torch.optim.AdamW(groups, lr=job.config.learning_rate)
    for step in range(3):
        optimizer.zero_grad()
        check(model, reference_text(model, job, step, drawn=True), found[step])
        optimizer.step()
    for (name, parameter), other in zip(model.named_parameters(), trainer.model.parameters(), strict=True):
        torch.testing.assert_close(parameter, other, atol=1e-4, rtol=0, msg=name)


def test_lambda_0_is_grpo(make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_job("zero", steps=4, ntp_weight=0.0, micro_batch_tokens=200)
    monkeypatch.setattr(DualTrainer, "_text_loss", lambda *_: pytest.fail("text was read"))
    trainer, _, _ = trained(job, tmp_path / "zero")

    model, tokenizer = load(job)
    grpo = GroupTrainer(
        model=model,
        reward_funcs=make_grader(model, tokenizer, job.config),
        args=grpo_arguments(
            job,
            job.config,
            num_batches=4,
            prompts_per_batch=4,
            longest_prompt=100,
            batch_setting="slots",
        ),
        train_dataset=Dataset.from_dict(read_run(job.data).asked),
        processing_class=tokenizer,
        form=job.form,
        reporter=Reporter(tmp_path / "zero"),
        settings=job.config,
        micro_batch_tokens=job.rl_micro_batch_tokens,
    )
    use_compact_head(grpo.model, temperature=1.0, outputs=("log_probs", "entropy"))
    grpo.train()
    start = AutoModelForCausalLM.from_pretrained(job.model).state_dict()
    for name, weight in grpo.model.state_dict().items():
        assert torch.equal(trainer.model.state_dict()[name], weight), name
    assert not torch.equal(weight, start[name])


class Held:
    """A tensor that a graph keeps for its backward pass, and all that are kept at one time."""

    now = peak = 0

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor
        Held.now += tensor.numel()
        Held.peak = max(Held.peak, Held.now)

    def __del__(self) -> None:
        Held.now -= self.tensor.numel()


def kept_at_once(job: RMTJob, folder: Path) -> int:
    """Most numbers that graphs of a training keep at one time."""
    Held.peak = Held.now
    start = Held.now
    with torch.autograd.graph.saved_tensors_hooks(Held, lambda held: held.tensor):
        trained(job, folder)
    return Held.peak - start


def test_a_step_keeps_the_graph_of_one_loss_at_a_time(make_job: MakeJob, tmp_path: Path) -> None:
    alone = [
        kept_at_once(make_job(name, steps=1, slots=4, **settings, **PLAIN), tmp_path / name)
        for name, settings in (("rl", {"ntp_weight": 0.0}), ("texts", {"objective": "ntp"}))
    ]
    both = kept_at_once(make_job("both", steps=1, slots=4, ntp_weight=0.3, **PLAIN), tmp_path / "both")
    assert max(alone) <= both < max(alone) + min(alone) / 2
    settings = {"ntp_weight": 0.0, "micro_batch_tokens": 100, **PLAIN}
    parts = kept_at_once(make_job("parts", steps=1, slots=4, **settings), tmp_path / "parts")
    assert parts < alone[0] / 2, "rollouts in several passes"


@pytest.mark.parametrize("num_processes", [1, 2, 5])
def test_texts_are_dealt_to_processes_first_and_into_as_few_passes_as_fit(num_processes: int) -> None:
    lengths = [9, 1, 4, 4, 7, 2, 2, 8]
    rows = [TextRow(np.full(n, n), np.full(n, n)) for n in lengths]
    dealt = text_passes(rows, num_processes, tokens_per_pass=20)
    assert len({len(passes) for passes in dealt}) == 1
    assert sorted(len(row.tokens) for passes in dealt for part in passes for row in part) == sorted(lengths)
    assert all(len(part) * max(len(row.tokens) for row in part) <= 20 for passes in dealt for part in passes if part)
    assert len(dealt[0]) == {1: 3, 2: 2, 5: 1}[num_processes]
    assert text_passes([], num_processes, tokens_per_pass=20) == [[]] * num_processes


def test_rows_of_plain_text_do_not_see_their_filler_or_each_other(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job("rows", steps=1, slots=1, objective="ntp")
    trainer, _, _ = trained(job, tmp_path / "rows")
    tokenizer = load_tokenizer(job.model)
    texts = ["1+2=3;4+5=9;", "7", "8+1=9;" * 9, "ab"]
    rows = [TextRow(ids, ids) for text in texts for ids in [torch.tensor(tokenizer(text)["input_ids"]).numpy()]]

    def loss(part: list[TextRow]) -> float:
        return next_token_loss(trainer.model, part, torch.device("cpu"), filler=tokenizer.pad_token_id).item()

    alone = [-log_probs(trainer.model, torch.from_numpy(row.tokens), 1.0) for row in rows]
    assert loss(rows) == pytest.approx(torch.cat(alone).sum().item(), rel=1e-5)
    assert sum(loss([row]) for row in rows) == pytest.approx(loss(rows), rel=1e-5)
    assert loss([]) == 0
