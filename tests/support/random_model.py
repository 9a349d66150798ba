"""A random Llama of 60,000 parameters with a byte-level tokenizer: a real model for tests that need no skill."""

import json
import shutil
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

END, PAD = "<|endoftext|>", "<|pad|>"


def save_random_model(folder: Path, *, layers: int = 2, width: int = 48, seed: int = 0) -> Path:
    """Write model and tokenizer to `folder` and return it."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {piece: index for index, piece in enumerate([END, PAD, *alphabet])}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token=END, pad_token=PAD, padding_side="left", clean_up_tokenization_spaces=False
    )
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        eos_token_id=0,
        bos_token_id=None,
        pad_token_id=1,
        initializer_range=0.2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def padded_with_end(model: Path, folder: Path) -> Path:
    """A copy of a model that pads with its end token, as SmolLM2 does."""
    shutil.copytree(model, folder)
    for name, field, value in (("tokenizer_config.json", "pad_token", END), ("config.json", "pad_token_id", 0)):
        settings = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**settings, field: value}))
    return folder
