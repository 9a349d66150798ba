"""The tokenizer's digest: the same for the same reading of text, whatever else a folder holds."""

import json
import shutil
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from tasks.errors import Permanent
from tasks.shared.engines.tokenizer_digest import tokenizer_digest
from tasks.shared.models.resolve import EMBEDDED_PATH


def changed(folder: Path, **model: object) -> Path:
    """The embedded tokenizer with other fields of its model."""
    folder.mkdir()
    tokenizer = json.loads((EMBEDDED_PATH / "tokenizer.json").read_text())
    tokenizer["model"] |= model
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return folder


def test_saving_again_and_adding_tags_changes_nothing(tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(EMBEDDED_PATH)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<think>", "</think>"]})
    tokenizer.chat_template = "{{ messages[0]['content'] }}"
    tokenizer.save_pretrained(tmp_path)
    assert tokenizer_digest(tmp_path) == tokenizer_digest(EMBEDDED_PATH)
    # Some tokenizers list what is added in the vocabulary too.
    saved = json.loads((tmp_path / "tokenizer.json").read_text())
    saved["model"]["vocab"] |= {token["content"]: token["id"] for token in saved["added_tokens"]}
    (tmp_path / "tokenizer.json").write_text(json.dumps(saved))
    assert tokenizer_digest(tmp_path) == tokenizer_digest(EMBEDDED_PATH)


def test_merges_are_the_same_in_both_spellings(tmp_path: Path) -> None:
    merges = json.loads((EMBEDDED_PATH / "tokenizer.json").read_text())["model"]["merges"]
    assert merges
    pairs = [pair.split(" ") if isinstance(pair, str) else pair for pair in merges]
    for index, spelling in enumerate((pairs, [" ".join(pair) for pair in pairs])):
        folder = changed(tmp_path / str(index), merges=spelling)
        assert tokenizer_digest(folder) == tokenizer_digest(EMBEDDED_PATH)
    assert tokenizer_digest(changed(tmp_path / "shorter", merges=pairs[:-1])) != tokenizer_digest(EMBEDDED_PATH)


def test_another_number_for_a_piece_is_another_tokenizer(tmp_path: Path) -> None:
    vocabulary = json.loads((EMBEDDED_PATH / "tokenizer.json").read_text())["model"]["vocab"]
    one, other = sorted(vocabulary, key=vocabulary.__getitem__)[40:42]
    vocabulary[one], vocabulary[other] = vocabulary[other], vocabulary[one]
    assert tokenizer_digest(changed(tmp_path / "swapped", vocab=vocabulary)) != tokenizer_digest(EMBEDDED_PATH)


def test_folders_without_a_tokenizer_json(tmp_path: Path) -> None:
    with pytest.raises(Permanent, match=r"no tokenizer\.json"):
        tokenizer_digest(tmp_path)
    (tmp_path / "tokenizer.model").write_bytes(b"pieces")
    first = tokenizer_digest(tmp_path)
    (tmp_path / "tokenizer.model").write_bytes(b"other pieces")
    assert tokenizer_digest(tmp_path) != first
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(Permanent, match=r"tokenizer\.json: not a tokenizer"):
        tokenizer_digest(tmp_path)


def test_unigram_vocabularies_count_too(tmp_path: Path) -> None:
    shutil.copy(changed(tmp_path / "a", vocab=[["x", -1.0], ["y", -2.5]]) / "tokenizer.json", tmp_path)
    first = tokenizer_digest(tmp_path)
    assert tokenizer_digest(changed(tmp_path / "b", vocab=[["y", -2.5], ["x", -1.0]])) != first
