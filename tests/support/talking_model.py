"""A small Llama with random weights whose completions end by themselves, saved like any real model."""

import math
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import Gemma2Config, Gemma2ForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

END, PAD, BEGIN = "<|end|>", "<|pad|>", "<|begin|>"
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<{{ message.role }}>{{ message.content }}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>"
    "{% if thinking is defined and not thinking %}<no-think>{% endif %}{% endif %}"
)


def save_talking_model(
    folder: Path, *, seed: int = 0, mean_tokens: float = 24.0, chat: bool = False, begin: bool = False
) -> Path:
    """Save a model of head size 32 (the smallest that vLLM takes) whose completions end after about `mean_tokens`.

    `begin` makes the tokenizer put a begin-of-text token before every text, as Llama's does.
    """
    tokenizer = _tokenizer(begin or chat)
    if chat:
        tokenizer.chat_template = CHAT_TEMPLATE
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=320,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=512,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        # One constant direction of the hidden state carries the end token's logit: completions end when asked to.
        model.model.embed_tokens.weight.normal_(0, 0.1)
        model.model.embed_tokens.weight[:, 0] = 1.0
        model.lm_head.weight.normal_(0, 0.2)
        model.lm_head.weight[tokenizer.eos_token_id] = 0
        model.lm_head.weight[tokenizer.eos_token_id, 0] = math.log(525 / (mean_tokens - 1)) / 6.2
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _tokenizer(begin: bool) -> PreTrainedTokenizerFast:
    bytes_only = Tokenizer(models.BPE())
    bytes_only.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_only.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=[END, PAD, BEGIN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bytes_only.train_from_iterator(["the sum of 12 and 30 is 42"], trainer)
    if begin:
        from tokenizers.processors import TemplateProcessing

        bytes_only.post_processor = TemplateProcessing(
            single=f"{BEGIN} $A", special_tokens=[(BEGIN, bytes_only.token_to_id(BEGIN))]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=bytes_only, eos_token=END, pad_token=PAD, bos_token=BEGIN if begin else None
    )


def save_capped_model(folder: Path, *, chat: bool = False) -> Path:
    """The same tokenizer, with a model of random weights that caps its logits."""
    save_talking_model(folder, chat=chat)
    config = Gemma2Config(
        vocab_size=320,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        final_logit_softcapping=0.01,
    )
    Gemma2ForCausalLM(config).save_pretrained(folder)
    return folder
