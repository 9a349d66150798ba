"""What rollouts take of a GRPO step: our trainer on the CPU, with the decode loop that also serves generation.

Every group has right and wrong rollouts, so that all of them are trained on; grading is left out. Seconds are those of
the CPU, all threads together, so that other work on the machine shows less.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

from tasks.spine.stage.imports import hide_packages, offline

offline()

with hide_packages("mlflow", "vllm"):
    from transformers import TrainerCallback

    from tasks.rl.trainer import GroupTrainer, make_trainer

from tasks.rl.config import RLConfig, RLJob  # noqa: E402
from tasks.rl.prompts import RLPrompt  # noqa: E402
from tasks.shared.engines.tokens import encode_prompts  # noqa: E402
from tasks.shared.prompts.config import PromptConfig  # noqa: E402
from tasks.shared.prompts.render import Renderer  # noqa: E402
from tasks.shared.training.models import load  # noqa: E402
from tasks.spine.stage.worker import Reporter  # noqa: E402
from tasks.tiny.problems import generate_problems  # noqa: E402

PROMPTS, GROUP_SIZE, MOST_TOKENS = 4, 8, 128


class StepClock(TrainerCallback):
    """CPU seconds of a step, of the rollouts in it, and the tokens of those."""

    def __init__(self, trainer: GroupTrainer) -> None:
        self.step_s = self.rollouts_s = 0.0
        self.tokens = 0
        write = trainer._generate_single_turn

        def timed(*args: Any, **options: Any) -> tuple[list[list[int]], None]:
            started = time.process_time()
            written = write(*args, **options)
            self.rollouts_s += time.process_time() - started
            self.tokens += sum(map(len, written[0]))
            return written

        trainer._generate_single_turn = timed
        trainer._save_checkpoint = lambda *_: None
        trainer.add_callback(self)

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self._started = time.process_time()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.step_s += time.process_time() - self._started


def measure(model: Path, config: PromptConfig) -> str:
    """One step with the model in a folder, in words."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        job = RLJob(
            model=model,
            data=folder,
            out=folder / "out",
            checkpoints=folder / "checkpoints",
            device="cpu",
            config=RLConfig(
                prompts_per_step=PROMPTS,
                group_size=GROUP_SIZE,
                steps=1,
                max_completion_tokens=MOST_TOKENS,
            ),
        )
        renderer = Renderer.for_model(config, model)
        loaded, tokenizer = load(job)
        texts = [renderer.plain(problem.question) for problem in generate_problems("dev", PROMPTS, seed=0)]
        ids = encode_prompts(tokenizer, texts, adds_prefix=renderer.form.adds_prefix)
        prompts = [RLPrompt(text, text, "", tuple(tokens)) for text, tokens in zip(texts, ids, strict=True)]
        trainer = make_trainer(loaded, tokenizer, prompts, _half_right, job, Reporter(folder))
        clock = StepClock(trainer)
        trainer.train()
    return (
        f"GRPO, {PROMPTS} prompts x {GROUP_SIZE} rollouts of up to {MOST_TOKENS} tokens: rollouts take "
        f"{100 * clock.rollouts_s / clock.step_s:.0f} % of a step ({clock.rollouts_s:.1f} of {clock.step_s:.1f} CPU "
        f"seconds, {clock.tokens / clock.rollouts_s:,.0f} tokens a CPU second)"
    )


def _half_right(completion_ids: list[list[int]], **_: Any) -> list[float]:
    return [float(row % 2) for row in range(len(completion_ids))]


if __name__ == "__main__":
    from tests.bench.bench_generation import MODEL, prompt_config

    print(measure(MODEL, prompt_config()), flush=True)
