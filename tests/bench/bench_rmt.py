"""What L_NTP adds to a step of GRPO: the same rollouts, trained on with and without it, turns interleaved.

A model of the small world's size follows one schedule three times: stock TRL (`GRPOTrainer`), this project's
`GroupTrainer`, and the dual loss. Rollouts are written once and replayed, and rewards are drawn at random so that
every group has a gradient. CPU seconds on one thread, so that other work on the machine shows less.
"""

import random
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.spine.stage.imports import hide_packages, offline

offline()

import torch  # noqa: E402
from datasets import Dataset  # noqa: E402
from transformers import AutoTokenizer, PrinterCallback, TrainerCallback  # noqa: E402
from transformers import logging as transformers_logging  # noqa: E402

with hide_packages("mlflow", "vllm"):
    from trl import GRPOTrainer

    from tasks.rl.arguments import grpo_arguments
    from tasks.rl.trainer import GroupTrainer
    from tasks.rmt.trainer import make_trainer

import numpy as np  # noqa: E402

from tasks.rmt.config import RMTJob, RMTTrainConfig  # noqa: E402
from tasks.rmt.grading import PredictionReward  # noqa: E402
from tasks.rmt.rows import ASKED, Run, ScheduledText  # noqa: E402
from tasks.shared.engines.prompt_form import PromptForm  # noqa: E402
from tasks.shared.next_token.prompts import PredictionRenderer  # noqa: E402
from tasks.shared.training.lm_head import use_compact_head  # noqa: E402
from tasks.spine.stage.worker import Reporter  # noqa: E402
from tests.bench.bench_sft import model_of  # noqa: E402
from tests.support.guessing import PROMPT, add_think_tags  # noqa: E402
from tests.support.random_model import save_random_model  # noqa: E402

SLOTS, STEPS = 16, 3
LARGEST_SHARE = 0.15
TOO_SMALL_TO_MOVE = 1e-30
"""Learning rate: the weights stay, so that every trainer meets the same rollouts at the same speed."""


class DrawnReward(PredictionReward):
    """Rewards drawn at random, after the grading has cost its time."""

    def __call__(self, **columns: Any) -> list[float]:
        rng = random.Random(len(super().__call__(**columns)))
        return [float(rng.random() < 0.5) for _ in columns["completion_ids"]]


@dataclass
class Tape(TrainerCallback):
    """Rollouts of a run, and the CPU seconds of each of its steps beside them."""

    rollouts: dict[int, list[list[int]]]
    updates: list[float] = field(default_factory=list)
    rollout_s: list[float] = field(default_factory=list)

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self.started, self.apart = time.process_time(), 0.0

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.updates.append(time.process_time() - self.started - self.apart)

    def attach(self, trainer: GRPOTrainer) -> GRPOTrainer:
        """Replay rollouts where there are any, record them where not, and time both phases."""
        write, score = trainer._generate_single_turn, trainer._generate_and_score_completions

        def rollouts(prompt_ids: list[list[int]], *args: Any, **options: Any) -> tuple[list[list[int]], None]:
            started, step = time.process_time(), trainer.state.global_step
            if step not in self.rollouts:
                self.rollouts[step] = write(prompt_ids, *args, **options)[0]
                self.rollout_s.append(time.process_time() - started)
            return [list(ids) for ids in self.rollouts[step]], None

        def timed(inputs: Any) -> Any:
            started = time.process_time()
            found = score(inputs)
            self.apart += time.process_time() - started
            return found

        trainer._generate_single_turn, trainer._generate_and_score_completions = rollouts, timed
        trainer._save_checkpoint = lambda *_: None
        trainer.add_callback(self)
        trainer.remove_callback(PrinterCallback)
        return trainer


def schedule_of(document_tokens: int, seed: int = 0) -> Run:
    """Random letters of about that length, each document drawn from once, somewhere behind its first quarter."""
    rng = random.Random(seed)
    columns: dict[str, list[Any]] = {name: [] for name in ASKED}
    texts = {}
    for index in range(SLOTS * STEPS):
        length = round(document_tokens * rng.uniform(0.6, 1.4))
        text = "".join(rng.choice("abcdefgh ") for _ in range(length))
        position = rng.randrange(length // 4, length)
        texts[f"d{index}"] = ScheduledText(np.array([rng.randrange(2, 258) for _ in text]), np.array([position]))
        row = (f"{text[:position]}\n[50]<think>", "easy", 50, text[position], text[position : position + 8], [1])
        for name, value in zip(ASKED, row, strict=True):
            columns[name].append(value)
    return Run(STEPS, SLOTS, columns, list(texts), texts)


def trainers(folder: Path, run: Run, completion_tokens: int) -> dict[str, Callable[[], GRPOTrainer]]:
    """The three of them over the same schedule."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    config = RMTTrainConfig(
        learning_rate=TOO_SMALL_TO_MOVE, max_completion_tokens=completion_tokens, prediction_prompt=PROMPT
    )
    job = RMTJob(
        model=folder, data=folder, out=folder, checkpoints=folder / "c", device="cpu", save_every_steps=10**6,
        config=config,
    )  # fmt: skip
    grader = DrawnReward(config.reward, PredictionRenderer(PROMPT, tokenizer).reader([tokenizer.eos_token_id]))
    reporter = Reporter(folder)

    def common() -> dict[str, Any]:
        size = {"num_batches": STEPS, "prompts_per_batch": SLOTS, "longest_prompt": 2048}
        return {
            "model": model_of("tiny"),
            "reward_funcs": grader,
            "args": grpo_arguments(job, config, batch_setting="slots", **size),
            "train_dataset": Dataset.from_dict(run.asked),
            "processing_class": tokenizer,
        }

    def grouped() -> GroupTrainer:
        trainer = GroupTrainer(**common(), reporter=reporter, form=PromptForm(), settings=config)
        use_compact_head(trainer.model, temperature=1.0, outputs=("log_probs", "entropy"))
        return trainer

    def dual() -> GRPOTrainer:
        return make_trainer(
            model_of("tiny"), tokenizer, run, grader, job, reporter, longest_prompt=2048, context_tokens=2048
        )

    return {"TRL": lambda: GRPOTrainer(**common()), "GRPO": grouped, "dual": dual}


def measure(
    name: str,
    document_tokens: int,
    completion_tokens: int,
    arms: tuple[str, ...] = ("TRL", "GRPO", "dual"),
    turns: int = 2,
) -> None:
    """Interleaved turns over one schedule; prints each update and what L_NTP adds to a whole step."""
    run = schedule_of(document_tokens)
    with tempfile.TemporaryDirectory() as path:
        folder = add_think_tags(save_random_model(Path(path)))
        makers = trainers(folder, run, completion_tokens)
        written: dict[int, list[list[int]]] = {}
        first = Tape(written)
        first.attach(makers["GRPO"]()).train()
        seconds: dict[str, list[float]] = {arm: [] for arm in arms}
        for _ in range(turns):
            for arm in arms:
                tape = Tape(written)
                tape.attach(makers[arm]()).train()
                seconds[arm] += tape.updates
    rollout = statistics.median(first.rollout_s)
    update = {arm: statistics.median(values) for arm, values in seconds.items()}
    added = (update["dual"] - update["GRPO"]) / (rollout + update["GRPO"])
    tokens = sum(len(text.tokens) for text in run.texts.values()) / len(run.texts)
    ratios = ", ".join(f"{update['dual'] / update[arm]:.2f} x {arm}" for arm in arms if arm != "dual")
    print(
        f"{name}: documents of {tokens:.0f} tokens, {SLOTS} x 8 rollouts of up to {completion_tokens}. Rollouts of a "
        f"step {rollout:.2f} s; update {', '.join(f'{arm} {value:.2f} s' for arm, value in update.items())} "
        f"({ratios}). L_NTP adds {added:.1%} to a whole step (target: at most {LARGEST_SHARE:.0%})",
        flush=True,
    )


def main() -> None:
    """The lengths of the small world, and those of the paper (reasoning of 187 tokens) at a quarter of its texts."""
    torch.set_num_threads(1)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    measure("small world", document_tokens=70, completion_tokens=100)
    measure("paper's reasoning length", document_tokens=400, completion_tokens=187, arms=("GRPO", "dual"), turns=1)


if __name__ == "__main__":
    main()
