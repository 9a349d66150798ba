"""The mid-training program: reads a dataset, trains, writes a model and a ledger."""

from typing import Any

from tasks.errors import Permanent
from tasks.midtrain.config import MidtrainJob
from tasks.shared.training.fit import fit
from tasks.spine.stage.imports import UNUSED_BY_TRAINERS, lean_imports, offline
from tasks.spine.stage.worker import Reporter, worker_main


def run(job: MidtrainJob, reporter: Reporter) -> dict[str, Any]:
    """Train, resuming from the last whole checkpoint; returns the ledger and the last metrics."""
    with lean_imports(*UNUSED_BY_TRAINERS):
        from tasks.midtrain.packing import settle_packing
        from tasks.midtrain.trainer import METRICS, make_trainer
    from tasks.midtrain.encoding import read_examples
    from tasks.shared.engines.tokens import check_inside
    from tasks.shared.training.distributed import join
    from tasks.shared.training.models import check_context, load

    join(job)
    model, tokenizer = load(job)
    examples = read_examples(
        job.data, tokenizer, job.config.max_length, adds_prefix=job.form.adds_prefix, section=job.section
    )
    if job.whole:
        examples = [example.whole for example in examples]
    rows = model.get_input_embeddings().weight.shape[0]
    check_inside(tokenizer, (example.prompt + example.completion for example in examples), rows)
    check_context(model, max(len(example) for example in examples), "the longest training example")
    if job.config.batching == "packed":
        settle_packing(model, examples, job.section)
    trainer = make_trainer(model, tokenizer, examples, job.config, job, reporter)
    trained = fit(trainer, tokenizer, job, METRICS)
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
    return {"ledger": ledger, **trained.facts}


if __name__ == "__main__":
    offline()
    worker_main(MidtrainJob, run)
