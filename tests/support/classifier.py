"""A small sequence classifier with random weights, saved like any reward model."""

from pathlib import Path

import torch
from transformers import AutoConfig, AutoTokenizer, LlamaForSequenceClassification

from tests.support.talking_model import save_talking_model


def save_classifier(folder: Path, *, labels: int = 1, pads: bool = True, chat: bool = True) -> Path:
    """Save a Llama with a classifier's head, and the tokenizer of the talking model."""
    save_talking_model(folder, chat=chat)
    config = AutoConfig.from_pretrained(folder, num_labels=labels)
    config.pad_token_id = AutoTokenizer.from_pretrained(folder).pad_token_id if pads else None
    torch.manual_seed(0)
    LlamaForSequenceClassification(config).save_pretrained(folder)
    return folder
