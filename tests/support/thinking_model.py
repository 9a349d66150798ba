"""A small model with think tags that closes its reasoning after a few tokens of noise and then predicts more noise."""

import math
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from tasks.shared.engines.tokens import load_tokenizer
from tests.support.talking_model import save_talking_model

OPEN, CLOSE = "<think>", "</think>"


def save_thinking_model(folder: Path, *, seed: int = 0, thinking: float = 6.0, mean_tokens: float = 8.0) -> Path:
    """Save a talking model that writes a closing tag about every `thinking` tokens and ends after `mean_tokens`."""
    save_talking_model(folder, seed=seed, mean_tokens=mean_tokens)
    tokenizer = load_tokenizer(folder)
    tokenizer.add_special_tokens({"additional_special_tokens": [OPEN, CLOSE]})
    model = AutoModelForCausalLM.from_pretrained(folder)
    close = tokenizer.convert_tokens_to_ids(CLOSE)
    head = model.lm_head.weight
    with torch.no_grad():
        head[close] = 0
        head[close, 0] = math.log(525 / (thinking - 1)) / 6.2
        # Rows that no token stands for would be written as nothing.
        head[len(tokenizer) :] = 0
        head[len(tokenizer) :, 0] = -4
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
