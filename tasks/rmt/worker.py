"""The reinforcement mid-training program: trains along a schedule with the dual loss, writes a model and a ledger."""

from typing import TYPE_CHECKING, Any

from tasks.rl.config import wants_vllm
from tasks.rmt.checks import check_tokenizer, longest_prompt
from tasks.rmt.config import RMTJob, RMTTrainConfig
from tasks.rmt.grading import PredictionReward
from tasks.rmt.ledger import count
from tasks.rmt.rows import Run, read_chains, read_run
from tasks.shared.engines.tokenizer_digest import tokenizer_digest
from tasks.shared.next_token.prompts import PredictionRenderer
from tasks.shared.training.fit import fit
from tasks.spine.stage.imports import UNUSED_BY_TRAINERS, lean_imports, offline
from tasks.spine.stage.worker import Reporter, worker_main

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def run(job: RMTJob, reporter: Reporter) -> dict[str, Any]:
    """Train, resuming from the last whole checkpoint; returns the ledger and the last metrics.

    Raises:
        Permanent: before any training: a tokenizer without think tags or other than the schedule's, an empty or broken
            schedule, prompts and completions beyond the model's context.
    """
    config = job.config
    rollouts = config.objective != "ntp"
    with lean_imports(*(("mlflow",) if rollouts and wants_vllm(job) else UNUSED_BY_TRAINERS)):
        from tasks.rmt.critic_trainer import CriticTrainer
        from tasks.rmt.trainer import METRICS, DualTrainer, make_trainer
    from tasks.shared.engines.tokens import context_length
    from tasks.shared.training.distributed import join
    from tasks.shared.training.models import load

    join(job)
    model, tokenizer = load(job)
    grader = make_grader(model, tokenizer, config)
    plan = read_run(job.data)
    vocabulary = model.get_input_embeddings().weight.shape[0]
    check_tokenizer(tokenizer_digest(job.model), job.tokenizer_digest, plan, vocabulary)
    longest = _longest(model, tokenizer, plan, job) if rollouts else 0
    context = context_length(job.model, trust_remote_code=job.trust_remote_code)
    learned = plan.steps * plan.positions_per_step * config.chains_per_position
    chains = read_chains(job.chains, tokenizer, vocabulary, learned) if job.chains else []
    trainer = make_trainer(
        model,
        tokenizer,
        plan,
        grader,
        job,
        reporter,
        longest_prompt=longest,
        context_tokens=context,
        chains=chains,
        kind=CriticTrainer if config.has_critic else DualTrainer,
    )
    trained = fit(trainer, tokenizer, job, METRICS)
    trainer.write_rollouts(job.out)
    return {
        "ledger": count(plan, trained.history, config.group_size, config.num_iterations, trainer.text_tokens),
        "solved": trainer.solved,
        **trained.facts,
    }


def _longest(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", run: Run, job: RMTJob) -> int:
    """Tokens of the longest prompt, which fits the model's context with its completion."""
    from tasks.shared.training.models import check_context

    limit = job.config.max_completion_tokens
    longest = longest_prompt(tokenizer, run.asked["prompt"], adds_prefix=job.form.adds_prefix)
    check_context(model, longest + limit, f"the longest prompt with rmt_train.max_completion_tokens={limit}")
    return longest


def make_grader(
    model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", config: RMTTrainConfig
) -> PredictionReward:
    """The reward of the rollouts that `model` writes.

    Raises:
        Permanent: the tokenizer has no think tags.
    """
    from tasks.shared.models.causal_lm import end_token_ids

    renderer = PredictionRenderer(config.prediction_prompt, tokenizer)
    ends = end_token_ids(model.generation_config, tokenizer.eos_token_id)
    return PredictionReward(config.reward, renderer.reader(ends))


if __name__ == "__main__":
    offline()
    worker_main(RMTJob, run)
