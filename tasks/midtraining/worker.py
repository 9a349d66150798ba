"""The mid-training program: reads a dataset, trains, writes a model and a ledger."""

import json
import time
from typing import Any

from tasks.midtraining.config import MidtrainingConfig
from tasks.training.checkpoints import last_whole
from tasks.training.job import Place
from tasks.training.process import absent, offline
from tasks.worker import Permanent, Reporter, worker_main

CURVE = "training.jsonl"
"""Per-step metrics beside the weights; times are left out, so that equal runs have equal files."""
_CURVE_KEYS = ("step", "loss", "learning_rate", "grad_norm", "entropy", "mean_token_accuracy")


class MidtrainingJob(Place):
    """One mid-training run."""

    config: MidtrainingConfig


def run(job: MidtrainingJob, reporter: Reporter) -> dict[str, Any]:
    """Train, resuming from the last whole checkpoint; returns the ledger and the last metrics."""
    with absent("mlflow", "vllm"):
        from tasks.midtraining.trainer import check_packing, make_trainer
    from tasks.midtraining.encoding import read_examples
    from tasks.training.models import load, save

    model, tokenizer = load(job)
    examples = read_examples(job.data, tokenizer, job.config.max_length)
    if job.config.batching == "packed":
        check_packing(model, examples)
    trainer = make_trainer(model, tokenizer, examples, job.config, job, reporter)
    checkpoint = last_whole(job.checkpoints)
    started = time.perf_counter()
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    completion_tokens = sum(len(example.completion) for example in examples)
    ledger = {
        "examples": len(examples),
        "prompt_tokens": sum(len(example.prompt) for example in examples),
        "completion_tokens": completion_tokens,
        "trained_examples": sum(len(step.examples) for step in trainer.steps),
        "trained_tokens": trainer.trained_tokens,
    }
    if ledger["trained_tokens"] != completion_tokens * job.config.epochs:
        raise Permanent(f"the ledger does not add up: {ledger} over {job.config.epochs} epochs")
    save(trainer.model, tokenizer, job)
    history = [entry for entry in trainer.state.log_history if "loss" in entry]
    lines = [json.dumps({key: entry[key] for key in _CURVE_KEYS}) for entry in history]
    (job.out / CURVE).write_text("\n".join(lines) + "\n")
    return {
        "ledger": ledger,
        "steps": trainer.state.global_step,
        "resumed_from_step": int(checkpoint.name.split("-")[1]) if checkpoint else 0,
        "loss_first": history[0]["loss"],
        "loss_last": history[-1]["loss"],
        "seconds": round(time.perf_counter() - started, 3),
    }


if __name__ == "__main__":
    offline()
    worker_main(MidtrainingJob, run)
