"""TRL's `GRPOTrainer` with planned prompts, fast rollouts without vLLM, and gates that stop a run that cannot learn."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
from accelerate.utils import is_peft_model
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback
from transformers.generation.stopping_criteria import StopStringCriteria

from tasks.errors import Permanent
from tasks.rl.arguments import BY_MEAN, METRICS, grpo_arguments
from tasks.rl.config import RLJob
from tasks.rl.policy_loss import GAP, PolicyLoss
from tasks.rl.prompts import RLPrompt
from tasks.rl.rollouts import RolloutLog
from tasks.rl.schedule import plan_batches
from tasks.rl.vllm_rollouts import seed_rollouts
from tasks.shared.engines.decoding.loop import decode
from tasks.shared.engines.decoding.token_choice import StopRule
from tasks.shared.engines.prompt_form import PromptForm
from tasks.shared.engines.protocol import Sampling
from tasks.shared.engines.tokens import decode_completion, encode_prompts
from tasks.shared.training.adapters import adapters, base_model, merged_weights
from tasks.shared.training.config import GRPOSettings
from tasks.shared.training.lm_head import use_compact_head
from tasks.spine.stage.worker import Reporter, is_main_process

_GAP_BATCHES = 5
"""Consecutive batches whose `sampler_gap` is beyond its bound before the run stops."""


class GroupTrainer(PolicyLoss):
    """GRPO whose rollouts leave the batch as they end, and that reports and judges every step."""

    metrics: ClassVar[dict[str, str]] = METRICS
    section: ClassVar[str] = "rl"
    """Section of the recipe whose settings errors name."""
    shown: ClassVar[tuple[str, ...]] = ("reward", "completion_tokens")
    """Metrics shown beside the progress bar."""
    named: ClassVar[tuple[str, str]] = ("question_id", "answer")
    """Columns of the prompts that tell whose rollout one is, and what was right."""
    zero_advantage_cause: str = "no group had both a right and a wrong rollout"
    zero_advantage_advice: ClassVar[str] = (
        "Use questions that the model solves sometimes, a larger rl.group_size, or check rl.max_completion_tokens "
        "and the answer format"
    )

    def __init__(
        self,
        *args: Any,
        reporter: Reporter,
        form: PromptForm,
        settings: GRPOSettings,
        rollouts: RolloutLog | None = None,
        stop: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, divides_by_mean=settings.trl.scale_rewards == BY_MEAN, **kwargs)
        self._reporter, self._form, self._rollouts = reporter, form, rollouts
        self._stop = StopStringCriteria(self.processing_class, list(stop)) if stop else None
        self._max_zero_advantage_steps = settings.max_zero_advantage_steps
        self._max_sampler_gap = settings.max_sampler_gap
        if self.use_vllm:
            engine = self.accelerator.process_index // self.args.vllm_tensor_parallel_size
            seed_rollouts(self.args.seed, engine)
            if is_peft_model(self.model):
                # TRL would merge in place and take the adapters out again, which rounds frozen weights at every step.
                self.vllm_generation._iter_named_params = partial(merged_weights, self.model)
        self.solved = False
        """Whether training ended early, because every rollout of `max_zero_advantage_steps` batches was right."""

    def _tokenize_prompts(self, prompts: list[str]) -> tuple[list[list[int]], None, dict[str, Any]]:
        # TRL would add a second beginning-of-sequence token to prompts that a chat template rendered.
        return encode_prompts(self.processing_class, prompts, adds_prefix=self._form.adds_prefix), None, {}

    def _generate_single_turn(
        self, prompt_ids: list[list[int]], images: Any, multimodal_fields: Any, num_generations: int, **kwargs: Any
    ) -> tuple[list[list[int]], list[list[float]] | None]:
        if self.use_vllm:
            return super()._generate_single_turn(prompt_ids, images, multimodal_fields, num_generations, **kwargs)
        sampling = Sampling(
            temperature=self.temperature, top_p=self.top_p, top_k=self.top_k, max_new_tokens=self.max_completion_length
        )
        model = base_model(self.accelerator.unwrap_model(self.model_wrapped))
        model.eval()
        completions: list[list[int]] = [[] for _ in prompt_ids]
        # TRL repeats each prompt for its group, side by side; a process has whole groups (`check_share`).
        with self.accelerator.autocast():
            # From torch's own state, which checkpoints restore.
            draws = torch.rand(len(prompt_ids), sampling.max_new_tokens, device=model.device, dtype=torch.float64)
            rule = StopRule(self.eos_token_ids, self.processing_class.pad_token_id, self._stop)
            prompts = prompt_ids[::num_generations]
            for decoded in decode(model, prompts, sampling, rule, draws=draws, copies=num_generations):
                completions[decoded.row] = decoded.tokens
        model.train()
        return completions, None

    def _calculate_rewards(
        self, inputs: list[dict[str, Any]], prompts: Any, completions: Any, completion_ids_list: list[list[int]]
    ) -> torch.Tensor:
        rewards = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        log, batch = self._rollouts, self.state.global_step // self.num_iterations
        if log is not None and is_main_process() and log.wants(batch):
            # Those of the first process come first.
            own = rewards[: len(inputs), 0].tolist()
            log.keep(self.state.global_step + 1, own, partial(self._kept, inputs, completion_ids_list))
        return rewards

    def write_rollouts(self, out: Path) -> None:
        """Write those that were kept beside the model."""
        if self._rollouts is not None and is_main_process():
            self._rollouts.write(out)

    def _kept(self, inputs: list[dict[str, Any]], completion_ids: list[list[int]], place: int) -> dict[str, Any]:
        """The columns of a kept rollout."""
        ids = completion_ids[place]
        name, answer = (inputs[place][column] for column in self.named)
        return {
            "question_id": name,
            "prompt": inputs[place]["prompt"],
            "answer": answer,
            "completion": decode_completion(self.processing_class, ids, self.eos_token_ids),
            "verdict": self.reward_funcs[0].fates[place],
            "completion_tokens": len(ids),
        }

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Report the step under this project's names, then stop the run if it cannot learn."""
        metrics = self._metrics["train"]
        if self._stop is not None and "verdict/truncated" in metrics:
            # TRL takes what a stop text ended for cut.
            metrics["completions/clipped_ratio"] = metrics["verdict/truncated"]
        super().log(logs, start_time)
        if "loss" not in logs:
            return
        step = self.state.global_step
        values = {ours: logs[theirs] for theirs, ours in self.metrics.items() if logs.get(theirs) is not None}
        self._reporter.metrics(step, **values, step_s=logs["step_time"])
        shown = {name: values[name] for name in self.shown if name in values}
        self._reporter.progress(step, self.state.max_steps, "steps", **shown, step_s=logs["step_time"])
        self._check_finite(logs)
        self._check_advantages()
        self._check_sampler()

    def _check_finite(self, logs: dict[str, float]) -> None:
        for name in ("loss", "grad_norm"):
            if not math.isfinite(logs.get(name, 0.0)):
                raise Permanent(
                    f"{self._where()}: {name} is {logs[name]}; lower "
                    f"{self.section}.learning_rate={self.args.learning_rate} or use {self.section}.dtype=float32"
                )

    def _check_advantages(self) -> None:
        history = [entry for entry in self.state.log_history if "frac_reward_zero_std" in entry]
        most = self._max_zero_advantage_steps
        last = history[-most:]
        if len(last) < most or not all(map(self._is_zero_advantage, last)):
            return
        if min(entry.get("verdict/correct", entry["reward"]) for entry in last) == 1:
            self.solved = True
            self.control.should_training_stop = True
            return
        reward = last[-1]["reward"]
        cause = "every rollout is wrong" if reward == 0 else "all rollouts of a group have one reward"
        raise Permanent(
            f"{self._where()}: for {self.section}.max_zero_advantage_steps={most} batches {self.zero_advantage_cause}, "
            f"so every advantage is 0 and there is no gradient (last batch: {cause}, mean reward {reward:.3f}). "
            f"{self.zero_advantage_advice}"
        )

    def _check_sampler(self) -> None:
        last = [entry[GAP] for entry in self.state.log_history if GAP in entry][-_GAP_BATCHES:]
        if len(last) == _GAP_BATCHES and min(last) > self._max_sampler_gap:
            raise Permanent(
                f"{self._where()}: in {_GAP_BATCHES} batches the log-probability of a token differs by more than "
                f"{self.section}.max_sampler_gap={self._max_sampler_gap} between vLLM and the trainer (last: "
                f"{last[-1]:.3f}); the trained weights may not reach the engine. Compare `sampler_gap` of the first "
                "steps: where it was as large, vLLM computes this model in another way, and the bound may be raised"
            )

    def _is_zero_advantage(self, entry: dict[str, float]) -> bool:
        """Whether a batch gave no gradient."""
        return entry["frac_reward_zero_std"] == 1

    def _where(self) -> str:
        return f"{self.section} step {self.state.global_step}"


def make_trainer(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[RLPrompt],
    reward: Callable[..., list[float]],
    job: RLJob,
    reporter: Reporter,
    kind: Callable[..., GroupTrainer] = GroupTrainer,
) -> GroupTrainer:
    """A trainer that holds the plan of the whole run; `train()` starts or resumes it."""
    config = job.config
    batches = plan_batches(len(prompts), config.prompts_per_step, config.epochs, config.steps, config.seed)
    order = [prompts[index] for batch in batches for index in batch]
    fields = {"prompt": "text", "answer": "answer", "question_id": "question_id"}
    columns = {name: [getattr(prompt, field) for prompt in order] for name, field in fields.items()}
    trainer = kind(
        model=model,
        reward_funcs=reward,
        args=grpo_arguments(
            job,
            config,
            num_batches=len(batches),
            prompts_per_batch=config.prompts_per_step,
            batch_setting="rl.prompts_per_step",
            longest_prompt=max(len(prompt.ids) for prompt in prompts),
            stop=config.stop,
        ),
        train_dataset=Dataset.from_dict(columns),
        processing_class=tokenizer,
        peft_config=adapters(model, config, job),
        micro_batch_tokens=job.rl_micro_batch_tokens,
        reporter=reporter,
        form=job.form,
        settings=config,
        stop=config.stop,
        rollouts=RolloutLog(job.checkpoints.with_name("rollouts"), len(batches)),
    )
    trainer.remove_callback(PrinterCallback)
    use_compact_head(trainer.model, temperature=config.temperature, outputs=("log_probs", "entropy"))
    return trainer
