"""The RL program: reads prompts, trains with GRPO, writes a model and a ledger."""

from functools import partial
from typing import Any

from tasks.errors import Permanent
from tasks.rl.config import RLJob, wants_vllm
from tasks.shared.training.fit import fit
from tasks.shared.verification.pool import VerifierPool
from tasks.spine.stage.imports import UNUSED_BY_TRAINERS, lean_imports, offline
from tasks.spine.stage.worker import Reporter, worker_main


def run(job: RLJob, reporter: Reporter) -> dict[str, Any]:
    """Train, resuming from the last whole checkpoint; returns the ledger and the last metrics."""
    with lean_imports(*(("mlflow",) if wants_vllm(job) else UNUSED_BY_TRAINERS)):
        from tasks.rl.beside.solutions import SolutionTrainer, make_with_solutions
        from tasks.rl.trainer import make_trainer
    from tasks.rl.own_reward import OwnReward
    from tasks.rl.prompts import read_prompts
    from tasks.rl.reward import CorrectnessReward, readable_golds
    from tasks.shared.engines.tokens import check_inside, encode_prompts
    from tasks.shared.models.causal_lm import end_token_ids
    from tasks.shared.training.distributed import agreed, join, world_size
    from tasks.shared.training.models import check_context, load

    config = job.config
    join(job)
    verifiers = max(1, job.num_verifiers // world_size())
    with VerifierPool(verifiers, memory_mb=job.verifier_memory_mb, config=config.verification) as pool:
        model, tokenizer = load(job)
        encode = partial(encode_prompts, tokenizer, adds_prefix=job.form.adds_prefix)
        readable = partial(readable_golds, pool)
        # A grader may run out of time in one process and not in another.
        prompts = agreed(lambda: read_prompts(job.data, encode, readable, config.max_prompt_tokens))
        check_inside(tokenizer, (prompt.ids for prompt in prompts.usable), model.get_input_embeddings().weight.shape[0])
        longest = max(len(prompt.ids) for prompt in prompts.usable) + config.max_completion_tokens
        check_context(
            model, longest, f"the longest prompt with rl.max_completion_tokens={config.max_completion_tokens}"
        )
        ends = end_token_ids(model.generation_config, tokenizer.eos_token_id)
        graded = CorrectnessReward(pool, tokenizer, ends, job.form, config.stop)
        reward = OwnReward(config.reward, graded) if config.reward else graded
        make = make_with_solutions if job.solutions else make_trainer
        trainer = make(model, tokenizer, prompts.usable, reward, job, reporter)
        if config.reward:
            trainer.zero_advantage_cause = f"rl.reward={config.reward!r} told no rollouts of a group apart"
        trained = fit(trainer, tokenizer, job, trainer.metrics)
        trainer.write_rollouts(job.out)
    ledger = {**prompts.ledger(), **_rollout_ledger(job, trained.history, trainer.train_dataset["question_id"])}
    if isinstance(trainer, SolutionTrainer):
        ledger |= trainer.ledger(trained.history)
    return {
        "ledger": ledger,
        "left_out": prompts.listed(),
        "solved": trainer.solved,
        **trained.facts,
    }


def _rollout_ledger(job: RLJob, history: list[dict[str, float]], asked: list[str]) -> dict[str, int]:
    """Counts of all rollouts by their fate, over restarts too."""
    from tasks.shared.verification.verdict import OUTCOMES

    rollouts = job.config.prompts_per_step * job.config.group_size
    scored = [entry for entry in history if "verdict_correct" in entry]
    counts = {name: round(sum(entry[f"verdict_{name}"] for entry in scored) * rollouts) for name in OUTCOMES}
    total = len(scored) * rollouts
    if sum(counts.values()) != total:
        raise Permanent(f"the ledger does not add up: {counts} over {total} rollouts")
    return {"prompts_asked": len(set(asked)), "rollouts": total, **counts}


if __name__ == "__main__":
    offline()
    worker_main(RLJob, run)
