"""Entropy at every position against a plain forward pass of the same texts, in one process, turns interleaved.

The plain pass is what the library gives: `model(input_ids)` on batches of like length, logits and all, nothing computed
from them. Both read the same windows in passes of the same size on one thread; positions per CPU second.
"""

import random
import statistics
import time

import numpy as np

from tasks.spine.stage.imports import UNUSED_BY_TRANSFORMERS, hide_packages, offline

offline()

with hide_packages(*UNUSED_BY_TRANSFORMERS):
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedModel

from tasks.entropy.config import EntropyConfig  # noqa: E402
from tasks.entropy.encoding import Encoded  # noqa: E402
from tasks.entropy.passes import TOKENS_PER_PASS, score_documents  # noqa: E402
from tasks.shared.models.resolve import EMBEDDED_PATH  # noqa: E402

PAIRS = 5
TARGET = 0.8


def documents(count: int, shortest: int, longest: int, vocabulary: int) -> list[Encoded]:
    """Random tokens in documents of different length."""
    rng, numbers = random.Random(0), np.random.default_rng(0)
    return [
        Encoded(str(index), "train", 0, numbers.integers(2, vocabulary, length, dtype=np.int32))
        for index, length in enumerate(rng.randint(shortest, longest) for _ in range(count))
    ]


@torch.inference_mode()
def plain(model: PreTrainedModel, texts: list[Encoded], tokens_per_pass: int) -> None:
    """Logits of all tokens, in padded batches of like length."""
    ordered = sorted((text.tokens for text in texts), key=len, reverse=True)
    while ordered:
        count = max(1, tokens_per_pass // len(ordered[0]))
        batch, ordered = ordered[:count], ordered[count:]
        ids = torch.zeros((len(batch), len(batch[0])), dtype=torch.long)
        for row, tokens in enumerate(batch):
            ids[row, : len(tokens)] = torch.from_numpy(tokens.astype(np.int64))
        model(input_ids=ids, use_cache=False)


def measure(name: str, model: PreTrainedModel, texts: list[Encoded]) -> None:
    """Interleaved pairs under one model; prints each ratio and their median."""
    model = model.eval()
    positions = sum(len(text.tokens) - 1 for text in texts)
    config = EntropyConfig(context_tokens=1_024, overlap_tokens=256)
    size = TOKENS_PER_PASS["cpu"]
    ours, theirs = [], []
    for _ in range(PAIRS + 1):
        started = time.process_time()
        plain(model, texts, size)
        between = time.process_time()
        score_documents(model, texts, config, size)
        theirs.append(between - started)
        ours.append(time.process_time() - between)
    # The first pair warms up.
    ratios = [slow / fast for slow, fast in zip(theirs[1:], ours[1:], strict=True)]
    speed, plain_speed = (positions / statistics.median(seconds[1:]) for seconds in (ours, theirs))
    print(
        f"{name}: {speed:,.0f} positions/s with entropies against {plain_speed:,.0f} in a plain forward pass, ratios "
        f"{', '.join(f'{each:.2f}' for each in ratios)}, median {statistics.median(ratios):.2f} "
        f"(target: at least {TARGET})",
        flush=True,
    )


def main() -> None:
    """The small world's model, and a random one with a vocabulary of usual size."""
    torch.set_num_threads(1)
    tiny = AutoModelForCausalLM.from_pretrained(EMBEDDED_PATH, dtype=torch.float32, attn_implementation="sdpa")
    measure("embedded model (128 hidden, 640 tokens)", tiny, documents(300, 20, 160, 640))
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=32_000,
        hidden_size=512,
        intermediate_size=1_536,
        num_hidden_layers=4,
        num_attention_heads=8,
        tie_word_embeddings=True,
    )
    wide = LlamaForCausalLM._from_config(config, attn_implementation="sdpa")
    measure("random model (512 hidden, 32,000 tokens)", wide, documents(24, 60, 300, 32_000))


if __name__ == "__main__":
    main()
