"""Hub datasets through the hub's own clients, against a server on this machine."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.hub_server import COMMIT, Hub, Repository, ask, serve

CARD = b"""---
configs:
- config_name: main
  data_files:
  - split: train
    path: data/train.jsonl
  - split: test
    path: data/test.jsonl
---
"""

READ = """
import json, sys
from tasks.questions.config import QuestionsConfig
from tasks.shared.sources.errors import SourceError
from tasks.questions.sources import read_source, resolve
try:
    config = resolve(QuestionsConfig(**json.loads(sys.argv[1])))
    rows = [record.row for record in read_source(config)]
    print(json.dumps({"digest": config.source_digest, "rows": rows}))
except SourceError as error:
    print(json.dumps({"error": str(error)}))
"""

ROWS = [{"question": f"Question {index}?", "answer": f"So.\n#### {index}"} for index in range(50)]
HELD_OUT = {"question": "Held out?", "answer": "Yes.\n#### 1"}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    data = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
    files = {"README.md": CARD, "data/train.jsonl": data, "data/test.jsonl": json.dumps(HELD_OUT).encode()}
    with serve(Hub([Repository("openai/gsm8k", files)])) as address:
        yield address


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [
        {"source": "hub", "preset": "gsm8k"},
        {"source": "openai/gsm8k", "preset": "gsm8k", "revision": "v1"},
        {"source": "openai/gsm8k", "fields": {"question": "question", "answer": "answer"}, "subset": "main"},
    ],
)
def test_a_hub_dataset_is_streamed_at_the_commit_of_its_revision(
    endpoint: str, tmp_path: Path, config: dict[str, Any]
) -> None:
    assert ask(endpoint, tmp_path, READ, **config) == {"digest": f"hub:{COMMIT}:main:train", "rows": ROWS}


@pytest.mark.slow
def test_several_splits_are_read_as_one_set(endpoint: str, tmp_path: Path) -> None:
    read = ask(endpoint, tmp_path, READ, source="hub", preset="gsm8k", split="train+test")
    assert read == {"digest": f"hub:{COMMIT}:main:train+test", "rows": [*ROWS, HELD_OUT]}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"split": "tset"},
            "split 'tset': Bad split: tset. Available splits: ['train', 'test']",
        ),
        ({"subset": "mian"}, "has no subset 'mian' with split 'train'"),
        ({"revision": "v2"}, "revision: dataset 'openai/gsm8k' has no revision 'v2'"),
        ({"source": "openai/gsm9k"}, "source: the hub has no dataset 'openai/gsm9k' that you may read"),
    ],
)
def test_what_the_hub_does_not_have_is_named(
    endpoint: str, tmp_path: Path, config: dict[str, Any], message: str
) -> None:
    assert message in ask(endpoint, tmp_path, READ, **{"source": "openai/gsm8k", "preset": "gsm8k", **config})["error"]
