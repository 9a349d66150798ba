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
def read(config):
    try:
        config = resolve(QuestionsConfig(**config))
        rows = [record.row for record in read_source(config)]
        return {"digest": config.source_digest, "rows": rows}
    except SourceError as error:
        return {"error": str(error)}
print(json.dumps([read(config) for config in json.loads(sys.argv[1])["configs"]]))
"""

ROWS = [{"question": f"Question {index}?", "answer": f"So.\n#### {index}"} for index in range(50)]
HELD_OUT = {"question": "Held out?", "answer": "Yes.\n#### 1"}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    data = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
    files = {"README.md": CARD, "data/train.jsonl": data, "data/test.jsonl": json.dumps(HELD_OUT).encode()}
    with serve(Hub([Repository("openai/gsm8k", files)])) as address:
        yield address


def read(endpoint: str, home: Path, *configs: dict[str, Any]) -> list[dict[str, Any]]:
    """What is read by each of these settings; in one process, whose start takes seconds."""
    return ask(endpoint, home, READ, configs=configs)


@pytest.mark.slow
def test_a_hub_dataset_is_streamed_at_the_commit_of_its_revision_split_by_split(endpoint: str, tmp_path: Path) -> None:
    *one_split, several = read(
        endpoint,
        tmp_path,
        {"source": "hub", "preset": "gsm8k"},
        {"source": "openai/gsm8k", "preset": "gsm8k", "revision": "v1"},
        {"source": "openai/gsm8k", "fields": {"question": "question", "answer": "answer"}, "subset": "main"},
        {"source": "hub", "preset": "gsm8k", "split": "train+test"},
    )
    assert one_split == [{"digest": f"hub:{COMMIT}:main:train", "rows": ROWS}] * 3
    assert several == {"digest": f"hub:{COMMIT}:main:train+test", "rows": [*ROWS, HELD_OUT]}


MISSING = [
    ({"split": "tset"}, "split 'tset': Bad split: tset. Available splits: ['train', 'test']"),
    ({"subset": "mian"}, "has no subset 'mian' with split 'train'"),
    ({"revision": "v2"}, "revision: dataset 'openai/gsm8k' has no revision 'v2'"),
    ({"source": "openai/gsm9k"}, "source: the hub has no dataset 'openai/gsm9k' that you may read"),
]
"""Settings that ask for what is not there, and how it is named."""


@pytest.mark.slow
def test_what_the_hub_does_not_have_is_named(endpoint: str, tmp_path: Path) -> None:
    asked = [{"source": "openai/gsm8k", "preset": "gsm8k", **config} for config, _ in MISSING]
    for answer, (_, message) in zip(read(endpoint, tmp_path, *asked), MISSING, strict=True):
        assert message in answer["error"]
