"""Documents as tokens: all of the text, nothing else, and where the given part ends."""

from pathlib import Path

import pytest

from tasks.entropy.config import EntropyConfig
from tasks.entropy.encoding import BATCH_CHARS, Encoded, Encoder, chunks, read_encoded, units_of
from tasks.shared.engines.tokens import load_tokenizer
from tasks.shared.models.resolve import EMBEDDED_PATH
from tasks.shared.sources.errors import Reject
from tests.support.corpus import document_row, encoded, texts, write_texts


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(load_tokenizer(EMBEDDED_PATH), EntropyConfig())


@pytest.mark.parametrize("text", [*texts(8), " é😀\n\n  x ", "\ttabs\u00a0and \u2028 lines"])
def test_tokens_are_the_whole_text_and_nothing_else(encoder: Encoder, text: str) -> None:
    [document] = encoder.encode([document_row(text)], "train", 1)
    assert isinstance(document, Encoded)
    assert load_tokenizer(EMBEDDED_PATH).decode(document.tokens) == text
    assert document.given_tokens == 0


@pytest.mark.parametrize("given", ["Q: Ann has 3", "Q: é😀", "Q: x\nA:", "Q: a ", "Q", ""])
@pytest.mark.parametrize("rest", [" She has pens.", "é and more", "\n\nnext", "7, 8"])
def test_given_tokens_are_the_fewest_that_hold_the_given_part(encoder: Encoder, given: str, rest: str) -> None:
    """A token that holds the end of the given part and more is given; the one after it is not."""
    text = given + rest
    [document] = encoder.encode([document_row(text, len(given))], "train", 1)
    assert isinstance(document, Encoded)
    tokenizer, wanted = load_tokenizer(EMBEDDED_PATH), len(given.encode())
    pieces = [len(piece) for piece in tokenizer.convert_ids_to_tokens(document.tokens.tolist())]
    assert sum(pieces[: document.given_tokens]) >= wanted
    assert not document.given_tokens or sum(pieces[: document.given_tokens - 1]) < wanted


def test_what_cannot_be_used_is_listed_and_costs_no_other_document(encoder: Encoder) -> None:
    rows = [
        document_row(text)
        for text in ("one two", "a <think> b", "x", "end <|endoftext|> of it", "a </think>", "a <thin> b")
    ]
    found = list(encoder.encode(rows, "evaluation", 11))
    assert [type(each) for each in found] == [Encoded, Reject, Reject, Reject, Reject, Encoded]
    rejects = [each for each in found if isinstance(each, Reject)]
    assert [(each.file, each.line, each.reason) for each in rejects] == [
        ("evaluation.parquet", 12, "contains '<think>', which is not text to the tokenizer"),
        ("evaluation.parquet", 13, "is 1 tokens long; a document needs two, one to predict and one before it"),
        ("evaluation.parquet", 14, "contains '<|endoftext|>', which is not text to the tokenizer"),
        ("evaluation.parquet", 15, "contains '</think>', which is not text to the tokenizer"),
    ]
    assert rejects[1].value == f"{rows[2]['document_id']}: x"


def test_a_folder_is_read_in_order_of_split_and_id_over_batches(tmp_path: Path, encoder: Encoder) -> None:
    train = [*texts(5), "long " * (BATCH_CHARS // 4), "x", *texts(5, seed=1)]
    folder = write_texts(tmp_path, train, texts(3, seed=2), group_rows=4)
    units = units_of(folder)
    assert [unit.rows for unit in units] == [3, 4, 4, 4]
    found = [document for unit in units for document in read_encoded(folder, unit, encoder)]
    keys = [(each.split, each.document_id) for each in found if isinstance(each, Encoded)]
    assert keys == sorted(keys)
    assert [split for split, _ in keys].count("evaluation") == 3
    assert len(keys) == 3 + len(train) - 1
    [reject] = [each for each in found if isinstance(each, Reject)]
    ids = sorted(document_row(text)["document_id"] for text in train)
    assert reject.line == 1 + ids.index(document_row("x")["document_id"])


def test_chunks_hold_neighbours_until_they_are_large_enough() -> None:
    documents = encoded([3, 3, 3, 50, 2, 2], 99)
    assert [[len(each.tokens) for each in chunk] for chunk in chunks(documents, 6)] == [[3, 3], [3, 50], [2, 2]]
    assert list(chunks([], 6)) == []
