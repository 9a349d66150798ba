"""What becomes of rows before training: ids, and refusals that name the row and the fix."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.errors import Permanent
from tasks.midtrain.encoding import read_examples
from tasks.shared.engines.tokens import decode_completion, load_tokenizer
from tests.support.talking_model import BEGIN, save_talking_model
from tests.support.thinking_model import CLOSE, OPEN, save_thinking_model
from tests.support.training_rows import make_rows, write_rows


def test_completions_end_once_and_prompts_are_those_of_inference(random_model: Path, tmp_path: Path) -> None:
    rows = make_rows(2)
    rows[1]["completion"] += "<|endoftext|>"
    tokenizer = load_tokenizer(random_model)
    examples = read_examples(write_rows(tmp_path / "t.parquet", rows), tokenizer, max_length=512)
    for row, example in zip(rows, examples, strict=True):
        assert example.prompt == tokenizer(row["prompt"])["input_ids"]
        assert example.completion.count(tokenizer.eos_token_id) == 1
        assert example.completion[-1] == tokenizer.eos_token_id
        assert tokenizer.decode(example.completion[:-1]) == row["completion"].removesuffix("<|endoftext|>")


def test_a_row_that_would_be_cut_fails_with_its_id_and_the_length_needed(random_model: Path, tmp_path: Path) -> None:
    rows = make_rows(5)
    rows[3] |= {"completion": "z" * 300, "question_id": "the-long-one"}
    path = write_rows(tmp_path / "t.parquet", rows)
    with pytest.raises(Permanent, match=r"max_length=200 would cut 1 of 5 .* the-long-one \((\d+) tokens\)") as caught:
        read_examples(path, load_tokenizer(random_model), max_length=200)
    needed = int(str(caught.value).split("to at least ")[1].split(",")[0])
    assert len(read_examples(path, load_tokenizer(random_model), max_length=needed)) == 5


def test_an_empty_dataset_fails(random_model: Path, tmp_path: Path) -> None:
    with pytest.raises(Permanent, match="no rows to train on"):
        read_examples(write_rows(tmp_path / "t.parquet", []), load_tokenizer(random_model), 512)


def test_a_missing_column_is_named(random_model: Path, tmp_path: Path) -> None:
    pq.write_table(pa.table({"prompt": ["a"], "question_id": ["q"]}), tmp_path / "t.parquet")
    with pytest.raises(Permanent, match="no column 'completion'"):
        read_examples(tmp_path / "t.parquet", load_tokenizer(random_model), 512)


@pytest.mark.parametrize("column", ["prompt", "completion"])
def test_an_empty_text_is_refused_with_its_question(column: str, random_model: Path, tmp_path: Path) -> None:
    rows = make_rows(3)
    rows[1][column] = ""
    with pytest.raises(Permanent, match=f"1 rows have an empty {column}, e.g. question_id q1"):
        read_examples(write_rows(tmp_path / "t.parquet", rows), load_tokenizer(random_model), 512)


def test_the_tokenizers_prefix_stands_once_before_a_prompt_however_it_was_made(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(save_talking_model(tmp_path, begin=True))
    rows = [{**make_rows(1)[0], "prompt": prompt} for prompt in (f"{BEGIN}Why?", "Why?")]
    path = write_rows(tmp_path / "t.parquet", rows)
    rendered, _ = read_examples(path, tokenizer, 512, adds_prefix=False)
    _, plain = read_examples(path, tokenizer, 512)
    assert rendered.prompt == plain.prompt == tokenizer("Why?")["input_ids"]
    assert tokenizer.bos_token_id not in plain.completion


def test_tags_that_are_special_tokens_are_trained_on_as_such(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(save_thinking_model(tmp_path))
    path = write_rows(tmp_path / "t.parquet", [{**make_rows(1)[0], "completion": f"{OPEN} so {CLOSE} #### 1"}])
    (example,) = read_examples(path, tokenizer, 512)
    opened, closed = (tokenizer.convert_tokens_to_ids(tag) for tag in (OPEN, CLOSE))
    assert (example.completion[0], example.completion.count(closed)) == (opened, 1)
    assert decode_completion(tokenizer, example.completion, [tokenizer.eos_token_id]) == f"{OPEN} so {CLOSE} #### 1"
