"""A byte-level tokenizer with think tags: a token for every byte, so that characters may span tokens."""

from collections.abc import Sequence

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

END, PAD = "<|endoftext|>", "<|pad|>"
TAGS = ("<think>", "</think>")


def thinking_tokenizer(
    chat_template: str | None = None, tags: Sequence[str] = TAGS, words: Sequence[str] = ()
) -> PreTrainedTokenizerFast:
    """`words` (a letter from each alphabet piece on) become tokens of their own by merges, letter by letter."""
    pieces = [END, PAD, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    merges = []
    for word in words:
        letters = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(word)[0][0]
        for end in range(1, len(letters)):
            if letters[: end + 1] not in pieces:
                merges.append((letters[:end], letters[end]))
                pieces.append(letters[: end + 1])
    backend = Tokenizer(models.BPE(vocab={piece: index for index, piece in enumerate(pieces)}, merges=merges))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token=END, pad_token=PAD)
    if tags:
        tokenizer.add_special_tokens({"additional_special_tokens": list(tags)})
    tokenizer.chat_template = chat_template
    return tokenizer
