"""SFT speed at GSM8K lengths: this project's batching against TRL's default, in one process, turns interleaved.

Both train the same model on the same examples in float32 without gradient checkpointing, 64 examples per optimiser
step. TRL's default pads 8 shuffled examples to the longest of them and accumulates 8 times. Speed counts non-padding
tokens per CPU second on one thread, so that other work on the machine shows less.
"""

import json
import random
import statistics
import tempfile
import time
from pathlib import Path

from tasks.spine.stage.imports import hide_packages, offline

offline()

import torch  # noqa: E402
from datasets import Dataset  # noqa: E402
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, PrinterCallback  # noqa: E402
from transformers import logging as transformers_logging  # noqa: E402

with hide_packages("mlflow", "vllm"):
    from trl import SFTConfig, SFTTrainer

from tasks.midtrain.config import MidtrainConfig, MidtrainJob  # noqa: E402
from tasks.midtrain.encoding import TrainingExample  # noqa: E402
from tasks.midtrain.packing import settle_packing  # noqa: E402
from tasks.midtrain.trainer import make_trainer  # noqa: E402
from tasks.spine.stage.worker import Reporter  # noqa: E402
from tests.support.random_model import save_random_model  # noqa: E402

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
CHARACTERS_PER_TOKEN = 4
BATCH = 64
SIZES = {
    "tiny": {"hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 4, "vocab_size": 640},
    "small": {"hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 6, "vocab_size": 8192},
}


def gsm8k_examples(data: Path, count: int, vocab_size: int) -> list[TrainingExample]:
    """Random ids with the lengths of GSM8K questions and solutions, at four characters a token."""
    lines = (data / "gsm8k" / "train.jsonl").read_text().splitlines()
    rng = random.Random(0)
    examples = []
    for line in rng.sample(lines, count):
        row = json.loads(line)
        lengths = [len(row[key]) // CHARACTERS_PER_TOKEN + 1 for key in ("question", "answer")]
        prompt, completion = ([rng.randrange(2, vocab_size) for _ in range(n)] for n in lengths)
        examples.append(TrainingExample(prompt, completion))
    return examples


def model_of(size: str) -> LlamaForCausalLM:
    """The same random model at every call."""
    torch.manual_seed(0)
    config = LlamaConfig(num_attention_heads=4, tie_word_embeddings=True, pad_token_id=1, **SIZES[size])
    return LlamaForCausalLM._from_config(config, attn_implementation="sdpa")


def ours(size: str, examples: list[TrainingExample], folder: Path, pack_length: int, batching: str) -> float:
    """CPU seconds of one epoch with this project's trainer."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    config = MidtrainConfig(epochs=1, batch_size=BATCH, pack_length=pack_length, batching=batching)
    places = {"model": folder, "data": folder, "out": folder, "checkpoints": folder / "ours"}
    job = MidtrainJob(**places, config=config, device="cpu", save_every_steps=10**6)
    model = model_of(size)
    if batching == "packed":
        settle_packing(model, examples, job.section)
    trainer = make_trainer(model, tokenizer, examples, config, job, Reporter(folder))
    return _timed(trainer)


def default(size: str, examples: list[TrainingExample], folder: Path) -> float:
    """CPU seconds of one epoch with TRL's default batching."""
    arguments = SFTConfig(
        output_dir=str(folder / "default"),
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        per_device_train_batch_size=8,
        gradient_accumulation_steps=BATCH // 8,
        num_train_epochs=1,
        learning_rate=1e-5,
        logging_steps=1,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    rows = [{"input_ids": e.prompt + e.completion, "labels": [-100] * len(e.prompt) + e.completion} for e in examples]
    trainer = SFTTrainer(
        model=model_of(size),
        args=arguments,
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(folder),
    )
    trainer.remove_callback(PrinterCallback)
    return _timed(trainer)


def _timed(trainer: SFTTrainer) -> float:
    trainer._save_checkpoint = lambda *_: None  # both are timed on training alone
    started = time.process_time()
    trainer.train()
    return time.process_time() - started


def measure(size: str, count: int, pairs: int, pack_length: int = 0, batching: str = "packed") -> None:
    """Interleaved pairs at one model size; prints each ratio and their median."""
    examples = gsm8k_examples(DATA, count, SIZES[size]["vocab_size"])
    tokens = sum(len(example) for example in examples)
    with tempfile.TemporaryDirectory() as name:
        folder = save_random_model(Path(name))
        ratios, speeds = [], []
        for _ in range(pairs):
            slow = default(size, examples, folder)
            fast = ours(size, examples, folder, pack_length, batching)
            ratios.append(slow / fast)
            speeds.append(tokens / fast)
    speed, ratio = statistics.median(speeds), statistics.median(ratios)
    print(
        f"{size} model, {batching}, {tokens / count:.0f} tokens an example: {speed:,.0f} tokens/s against "
        f"{speed / ratio:,.0f}, ratios {', '.join(f'{each:.2f}' for each in ratios)}, median {ratio:.2f} "
        "(target: at least 1.5)",
        flush=True,
    )


def main() -> None:
    """Both layouts on the small world's model, and the default one on a larger model."""
    torch.set_num_threads(1)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    if not DATA.is_dir():
        print(f"skipped: GSM8K is not on this machine (looked in {DATA})")
        return
    measure("tiny", 192, pairs=3)
    measure("tiny", 192, pairs=3, batching="length_grouped")
    measure("small", 128, pairs=2)


if __name__ == "__main__":
    main()
