"""Generate from a small model with transformers, in batches of like length."""

from collections.abc import Sequence as Rows
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

MAX_NEW_TOKENS = 96


def load(folder: Path) -> tuple["PreTrainedModel", "PreTrainedTokenizerFast"]:
    """Model in float32 and tokenizer from a local folder."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    return model, AutoTokenizer.from_pretrained(folder)


def complete(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerFast",
    prompts: Rows[str],
    *,
    samples: int,
    seed: int,
    batch_size: int = 256,
) -> list[list[str]]:
    """`samples` completions at temperature 1 for each prompt, in order; `samples=0` is one greedy one."""
    rows = complete_ids(model, tokenizer, prompts, samples=samples, seed=seed, batch_size=batch_size)
    return [tokenizer.batch_decode(drawn, skip_special_tokens=True) for drawn in rows]


@torch.inference_mode()
def complete_ids(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerFast",
    prompts: Rows[str],
    *,
    samples: int,
    seed: int,
    batch_size: int = 256,
    max_new_tokens: int = MAX_NEW_TOKENS,
) -> list[list[list[int]]]:
    """Completions of `complete` as token ids with all special tokens; padding follows those that end early."""
    torch.manual_seed(seed)
    copies = max(1, samples)
    settings = dict(do_sample=True, temperature=1.0, top_k=0, top_p=1.0) if samples else dict(do_sample=False)
    out: list[list[list[int]]] = [[] for _ in prompts]
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    questions = max(1, batch_size // copies)
    for start in range(0, len(order), questions):
        chosen = order[start : start + questions]
        texts = [prompts[i] for i in chosen]
        inputs = tokenizer(texts, return_tensors="pt", padding=True, return_token_type_ids=False)
        generated = model.generate(**inputs, **settings, num_return_sequences=copies, max_new_tokens=max_new_tokens)
        rows = generated[:, inputs["input_ids"].shape[1] :].tolist()
        for place, index in enumerate(chosen):
            out[index] = rows[place * copies : (place + 1) * copies]
    return out
