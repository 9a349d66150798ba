"""Prompts as token ids, and tokenizers for threads that run side by side."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer

from tasks.errors import Permanent
from tasks.shared.engines.protocol import Request, Sampling
from tasks.shared.engines.tokens import encode_prompts, load_tokenizer
from tasks.shared.engines.transformers_engine import TransformersEngine
from tasks.shared.models.folder import configured_end_ids, embedding_size
from tasks.shared.models.resolve import EMBEDDED_PATH
from tasks.tiny.styles import EOS
from tests.support.talking_model import BEGIN, END, PAD, save_talking_model

TWO_AT_ONCE = """
import sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tasks.shared.engines.tokens import load_tokenizer


def load(wait_s):
    time.sleep(wait_s)
    return load_tokenizer(Path(sys.argv[1])).eos_token


with ThreadPoolExecutor(8) as pool:
    print(set(pool.map(load, [0.1 * index for index in range(8)])))
"""


def test_threads_that_ask_while_transformers_is_first_imported_all_get_their_tokenizer() -> None:
    # A process of its own, as only the first import of transformers is open to the race.
    command = [sys.executable, "-c", TWO_AT_ONCE, str(EMBEDDED_PATH)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, repr({EOS})), done.stderr


def test_the_end_token_that_a_tokenizer_puts_behind_texts_is_no_part_of_a_prompt(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(save_talking_model(tmp_path, begin=True))
    begin, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    around = [(BEGIN, begin), (END, end)]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=f"{BEGIN} $A {END}", special_tokens=around)
    assert tokenizer("hello")["input_ids"][-1] == end
    (plain,) = encode_prompts(tokenizer, ["hello"])
    (rendered,) = encode_prompts(tokenizer, [f"{BEGIN}hello"], adds_prefix=False)
    (asked,) = encode_prompts(tokenizer, [f"{BEGIN}hello"])
    assert plain == rendered == [begin, *tokenizer("hello", add_special_tokens=False)["input_ids"]]
    assert asked == [begin, *plain], "how a prompt was made counts, not how it begins"
    assert encode_prompts(tokenizer, []) == []


@pytest.mark.parametrize(("prompt", "adds_prefix"), [("hello", True), (f"{BEGIN}hello", False)])
def test_an_engine_reads_the_prefix_once(tmp_path: Path, prompt: str, adds_prefix: bool) -> None:
    model = save_talking_model(tmp_path, begin=True)
    engine = TransformersEngine(model, device="cpu", dtype="float32", batch_size=1, adds_prefix=adds_prefix)
    (completion,) = engine.stream([Request("a", prompt, 0)], Sampling(temperature=0, max_new_tokens=2))
    assert completion.prompt_tokens == len(load_tokenizer(model)("hello")["input_ids"])


def test_a_prompt_that_ends_with_the_end_token_is_refused(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(save_talking_model(tmp_path))
    with pytest.raises(Permanent, match=r"ends with the end token .*'What is <\|end\|>'.*prompt\.cue"):
        encode_prompts(tokenizer, ["fine", "What is <|end|>"])


@pytest.mark.parametrize(("pad", "found"), [(None, 0), ("[PAD]", 0), (PAD, 1)])
def test_padding_is_a_token_inside_the_embedding(tmp_path: Path, pad: str | None, found: int) -> None:
    save_talking_model(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    size = embedding_size(tmp_path)
    tokenizer.add_special_tokens({"additional_special_tokens": [f"<extra_{n}>" for n in range(len(tokenizer), size)]})
    if pad is None:
        tokenizer.pad_token = None
    else:
        tokenizer.add_special_tokens({"pad_token": pad})
    tokenizer.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"pad_token_id": tokenizer.pad_token_id}))
    loaded = load_tokenizer(tmp_path)
    assert (loaded.pad_token_id, loaded.eos_token_id) == (found, 0)
    prompts = [Request(text, text, 0) for text in ("the sum", "the sum of 12 and 30")]
    engine = TransformersEngine(tmp_path, device="cpu", dtype="float32", batch_size=2)
    sampling = Sampling(temperature=0, max_new_tokens=8)
    assert len(list(engine.stream(prompts, sampling))) == 2
    if pad == "[PAD]":
        with pytest.raises(Permanent, match=rf"embedding of {size} rows does not have: '\[PAD\]' \({size}\)"):
            list(engine.stream([Request("a", "what is [PAD]?", 0)], sampling))


def test_end_tokens_are_read_from_the_generation_config_first(tmp_path: Path) -> None:
    assert configured_end_ids(tmp_path) == frozenset()
    (tmp_path / "config.json").write_text('{"eos_token_id": 2, "text_config": {"vocab_size": 7}}')
    assert (configured_end_ids(tmp_path), embedding_size(tmp_path)) == ({2}, 7)
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [4, 5]}')
    assert configured_end_ids(tmp_path) == {4, 5}
    (tmp_path / "generation_config.json").write_text("version https://git-lfs.github.com/spec/v1")
    with pytest.raises(Permanent, match=r"generation_config\.json is no JSON object"):
        configured_end_ids(tmp_path)
