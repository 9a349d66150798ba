"""A model that thinks at random length and predicts a random digit, and schedules over texts whose answer is 3."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from transformers import AutoModelForCausalLM

from tasks.rmt.config import RMTJob
from tasks.shared.engines.tokens import load_tokenizer
from tasks.shared.next_token.config import PredictionPrompt
from tests.support.midtraining_jobs import learned
from tests.support.random_model import save_random_model

PROMPT = PredictionPrompt(
    style="plain",
    template="{context}\n[{budget}]<think>",
    template_without_budget="{context}\n[]<think>",
    prediction="bare",
)
TIERS = ("easy", "medium", "hard")
MakeJob = Callable[..., RMTJob]


def save_guesser(folder: Path) -> Path:
    """Write a model that answers any prompt with `aaa</think>d`, d below 4, and return its folder."""
    rng = random.Random(0)
    pairs = [
        (
            f"{rng.randint(0, 9)}+{rng.randint(0, 9)}=\n[{rng.randint(1, 9)}]<think>",
            "a" * rng.randint(0, 6) + f"</think>{rng.randint(0, 3)}",
        )
        for _ in range(160)
    ]
    return learned(folder, add_think_tags(save_random_model(folder / "random")), pairs, epochs=8)


def add_think_tags(folder: Path) -> Path:
    """Give the tokenizer of `folder` the two tags and its model their rows."""
    tokenizer, model = load_tokenizer(folder), AutoModelForCausalLM.from_pretrained(folder)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<think>", "</think>"]})
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_schedule(folder: Path, model: Path, *, steps: int, slots: int, seed: int = 0) -> Path:
    """A schedule over `a+b=3; ...` texts of several lengths: each slot asks for a 3; some texts serve several slots."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer, rng = load_tokenizer(model), random.Random(seed)
    rows: list[dict[str, Any]] = []
    texts: dict[str, dict[str, Any]] = {}
    for step in range(steps):
        for slot in range(slots):
            # The last slot draws from the text of the first, at its second place.
            number, place = (step * slots, 1) if slot == slots - 1 and slots > 1 else (step * slots + slot, 0)
            name = f"d{number:04d}"
            if name not in texts:
                sums = "".join(f"{rng.randint(0, 9)}+{rng.randint(0, 9)}=3;" for _ in range(rng.randint(2, 8)))
                tokens = tokenizer(sums, add_special_tokens=False)["input_ids"]
                texts[name] = {"document_id": name, "tokens": tokens, "drawn": [], "first_step": step}
            text, position = texts[name], 6 * place + 4
            text["drawn"].append(position)
            context = tokenizer.decode(text["tokens"][:position])
            budget = rng.randint(1, 6)
            rows.append(
                {
                    "step": step,
                    "slot": slot,
                    "document_id": name,
                    "position": position,
                    "tier": TIERS[(step + slot) % 3],
                    "drawn_tier": TIERS[(step + slot) % 3],
                    "entropy": 1.0,
                    "budget": budget,
                    "prompt": f"{context}\n[{budget}]<think>",
                    "target_token": text["tokens"][position],
                    "target": "3",
                    "continuation": tokenizer.decode(text["tokens"][position : position + 4]),
                    "boundaries": list(range(1, len(text["tokens"][position : position + 4]) + 1)),
                }
            )
    pq.write_table(pa.Table.from_pylist(rows), folder / "schedule.parquet")
    pq.write_table(pa.Table.from_pylist(list(texts.values())), folder / "texts.parquet")
    return folder
