"""Spans agree with decoding, token by token, for tokens that hold parts of characters too."""

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from tasks.schedule.spans import INSIDE, TokenText
from tasks.shared.engines.tokens import load_tokenizer
from tests.support.entropy_table import TEXTS, WORDS
from tests.support.thinking_tokenizer import thinking_tokenizer

TINY = Path(__file__).resolve().parents[2] / "tasks" / "tiny" / "model"


def llama_like() -> PreTrainedTokenizerBase:
    """Spaces are part of the words after them, other characters fall back to bytes, and the first space is dropped."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789+=,Q:"
    pieces = ["<unk>", "<s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *letters, "▁t", "th", "▁th", "▁the"]
    merges = [("▁", "t"), ("t", "h"), ("▁t", "h"), ("▁th", "e")]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", byte_fallback=True))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", bos_token="<s>")


TOKENIZERS = {
    "bytes": lambda: thinking_tokenizer(),
    "merged": lambda: thinking_tokenizer(words=WORDS),
    "small world": lambda: load_tokenizer(TINY),
    "llama": llama_like,
}


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("text", [*TEXTS, "the the", "字", " \n  the"])
def test_spans_are_what_tokens_decode_to(name: str, text: str) -> None:
    tokenizer = TOKENIZERS[name]()
    ids = tokenizer.encode(text, add_special_tokens=False)
    spans = TokenText(tokenizer).spans(np.array(ids, dtype=np.int32))
    assert spans.text == tokenizer.decode(ids) == text.removeprefix(" " if name == "llama" else "")
    assert spans.ends[-1] == len(spans.text)
    for cut in range(1, len(ids)):
        head = tokenizer.decode(ids[:cut])
        whole = spans.text.startswith(head)
        assert (spans.ends[cut - 1] != INSIDE) == whole, (cut, head)
        if whole:
            assert spans.between(0, cut) == head
            assert spans.between(cut, len(ids)) == spans.text[len(head) :]


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_replacement_character_of_the_text_itself_is_no_place_to_cut(name: str) -> None:
    tokenizer, text = TOKENIZERS[name](), "a\ufffdb 字 of\ufffd the"
    ids = tokenizer.encode(text, add_special_tokens=False)
    spans = TokenText(tokenizer).spans(np.array(ids, dtype=np.int32))
    assert spans.text == text
    assert not {2, 9} & set(spans.ends.tolist())
    assert {1, 3, 5, 13} <= set(spans.ends.tolist())


def test_tokens_that_are_no_text_have_no_ends() -> None:
    tokenizer = thinking_tokenizer()
    ids = tokenizer.encode("ab字c", add_special_tokens=False)
    spans = TokenText(tokenizer).spans(np.array([*ids[:3], *ids[4:]], dtype=np.int32))
    assert spans.ends[:2].tolist() == [1, 2]


def test_most_characters_of_a_byte_level_text_span_tokens() -> None:
    spans = TokenText(thinking_tokenizer()).spans(
        np.array(thinking_tokenizer().encode("a字b", add_special_tokens=False), dtype=np.int32)
    )
    assert spans.ends.tolist() == [1, INSIDE, INSIDE, 2, 3]
    assert spans.starts.tolist() == [0, 1, INSIDE, INSIDE, 2]
    assert spans.between(1, 4) == "字"
    with pytest.raises(ValueError, match="tokens 2 to 4 do not begin and end between characters"):
        spans.between(2, 4)


def test_the_first_space_of_a_later_token_is_kept() -> None:
    tokenizer = llama_like()
    ids = tokenizer.encode("the the", add_special_tokens=False)
    spans = TokenText(tokenizer).spans(np.array(ids, dtype=np.int32))
    assert len(ids) == 2
    assert tokenizer.decode(ids[1:]) == "the"
    assert spans.between(1, 2) == " the"
