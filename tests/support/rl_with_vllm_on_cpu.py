"""An RL worker whose rollouts are vLLM's on a CPU: without sleep and without new weights, both of which need a GPU.

Before it trains it writes `seen.json`: facts of the engine, and rollouts of one prompt, first ones and of two seeds.
"""

import json
import os
from functools import partial
from typing import Any

import torch

from tasks.rl.config import RLJob
from tasks.shared.engines.vllm_engine import CPU_SETTINGS
from tasks.spine.stage.imports import hide_packages, offline
from tasks.spine.stage.worker import Reporter, worker_main


def run(job: RLJob, reporter: Reporter) -> dict[str, Any]:
    """The run's result."""
    with hide_packages("mlflow"):
        import tasks.rl.trainer as trainer
    from trl.generation import vllm_generation
    from vllm import LLM

    import tasks.rl.worker as worker
    from tasks.rl import arguments, vllm_rollouts

    seen: dict[str, Any] = {}
    make_arguments, make_trainer = trainer.grpo_arguments, trainer.make_trainer

    def with_vllm(job: RLJob, config: Any, **kwargs: Any) -> Any:
        made = make_arguments(job, config, **kwargs)
        wanted = arguments._vllm(job, config, kwargs["longest_prompt"], kwargs["stop"])
        for name, value in {**wanted, "vllm_enable_sleep_mode": False}.items():
            setattr(made, name, value)
        return made

    def watched(*args: Any, **kwargs: Any) -> Any:
        made = make_trainer(*args, **kwargs)
        engine = made.vllm_generation
        prompt = made.processing_class(made.train_dataset["prompt"][0])["input_ids"]
        state = torch.get_rng_state()

        def drawn() -> list[list[int]]:
            return engine.generate([prompt] * 8, None, 8)[1]

        seen["first"] = drawn()
        for seed in (job.config.seed, job.config.seed + 1):
            vllm_rollouts.seed_rollouts(seed, engine=0)
            seen[f"seed {seed}"] = drawn()
        torch.set_rng_state(state)
        engine.sync_weights = lambda: None
        scheduler = engine.llm.llm_engine.vllm_config.scheduler_config
        seen["context"] = engine.llm.llm_engine.model_config.max_model_len
        seen["sequences"] = scheduler.max_num_seqs
        (job.checkpoints.parent / "w" / "seen.json").write_text(json.dumps(seen))
        return made

    vllm_rollouts.MAX_SEQUENCES = 3
    vllm_generation.LLM = partial(LLM, enforce_eager=True)  # compiling takes minutes
    trainer.grpo_arguments, trainer.make_trainer = with_vllm, watched
    return worker.run(job, reporter)


if __name__ == "__main__":
    offline()
    os.environ.update(CPU_SETTINGS)
    worker_main(RLJob, run)
