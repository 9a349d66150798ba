"""The identity of an RL run, and the job of its worker."""

import importlib.util
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from tasks.config import ADDED, NOT_HASHED, StageConfig
from tasks.errors import Permanent
from tasks.shared.engines.prompt_form import PromptForm
from tasks.shared.engines.protocol import StopTexts
from tasks.shared.training.config import GRPOSettings, LRSchedule, RolloutJob
from tasks.shared.verification.config import VerificationConfig


class RLConfig(GRPOSettings, StageConfig):
    """GRPO (arXiv 2402.03300) with a 0/1 correctness reward, as in arXiv 2605.08472.

    From the latter: no KL term, 16 rollouts a prompt, prompts of 1,024 and completions of 3,072 tokens, one epoch. The
    rest is unpublished and marked "ours".
    """

    STAGE: ClassVar[str] = "rl"

    learning_rate: float = Field(1e-6, gt=0)
    """Peak learning rate (ours)."""
    schedule: LRSchedule = "constant_with_warmup"
    """Shape of the learning rate after warm-up (ours)."""
    warmup_share: float = Field(0.0, ge=0, lt=1)
    """Share of all optimiser steps spent on warm-up (ours)."""
    epochs: int = Field(1, ge=1)
    """Passes over the prompts (paper)."""
    steps: int = Field(0, ge=0)
    """Rollout batches of the whole run; 0 takes what `epochs` needs (ours)."""
    prompts_per_step: int = Field(32, ge=1)
    """Prompts whose rollouts make one batch, over all devices (ours)."""
    group_size: int = Field(16, ge=2)
    """Rollouts per prompt (paper)."""
    max_prompt_tokens: int = Field(1024, ge=1)
    """Longer prompts are left out, counted and listed (paper)."""
    max_completion_tokens: int = Field(3072, ge=1)
    """Longest rollout; one that reaches it without an end gets reward 0 (paper)."""
    stop: Annotated[StopTexts, ADDED] = ()
    """Texts that end a rollout, besides the model's own end token, as `generate.sampling.stop` and
    `evaluate.sampling.stop` do: a base model shown worked examples as text goes on with a next one. They are part of
    what is trained on, and not of what is graded (ours: none)."""
    verification: VerificationConfig = VerificationConfig()
    """Rules of the reward; the same as those of filtering."""
    reward: Annotated[str, NOT_HASHED] = ""
    """A reward of one's own: name of an entry point of the group `midtrain.rewards` that an installed package offers.
    It sees what the verifier found. Empty (paper): 1 for a right final answer, 0 for anything else."""

    sft_weight: Annotated[float, ADDED] = Field(0.0, ge=0)
    """Weight of the cross-entropy on mid-training solutions beside the loss of rollouts, in the same optimiser steps,
    each normalised by its own tokens: SFT and RL at once, as in arXiv 2506.19767. The parent `dataset` has the
    solutions. 0: none (paper)."""
    sft_batch_size: Annotated[int, NOT_HASHED] = Field(64, ge=1)
    """Solutions of one such step, over all devices; all of them are gone through again and again (ours)."""

    @model_validator(mode="after")
    def _counts_what_is_stopped(self) -> Self:
        if self.stop and self.mask_truncated_completions:
            raise ValueError(
                "mask_truncated_completions=true takes a rollout that a stop text ended for one that was cut; leave "
                f"out either it or stop={list(self.stop)}"
            )
        return self

    def identity_payload(self) -> dict[str, Any]:
        """Fields as hashed; a reward of one's own is known by its code, and RL alone by the fields of RL."""
        from tasks.rl.own_reward import reward_identity

        reward = {"reward": reward_identity(self.reward)} if self.reward else {}
        solutions = {"sft_batch_size": self.sft_batch_size} if self.sft_weight else {}
        return {**super().identity_payload(), **reward, **solutions}


class RLJob(RolloutJob):
    """One RL run."""

    config: RLConfig
    form: PromptForm = PromptForm()
    """How the prompts were made."""
    num_verifiers: int = Field(1, ge=1)
    """Grader processes of the reward."""
    verifier_memory_mb: int = Field(2048, ge=256)
    """Address space of one grader, MiB."""
    solutions: Path | None = None
    """Parquet file with the rows that are learned beside rollouts, where `config.sft_weight` asks for it."""


def wants_vllm(job: RolloutJob) -> bool:
    """Whether rollouts are vLLM's: on a GPU, unless another engine is named.

    Raises:
        Permanent: they are, and it is not installed.
    """
    import torch

    if job.device == "cpu" or not torch.cuda.is_available() or job.engine not in ("auto", "vllm"):
        return False
    if importlib.util.find_spec("vllm") is None:
        raise Permanent(
            "rollouts on a GPU need vLLM, which is not installed; install the project's 'gpu' extra, or set "
            "runtime.engine=transformers (much slower)"
        )
    return True
