"""The look at a model before any stage takes it, in the child's own function."""

import shutil
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from tasks.shared.models.config import ModelCheckJob
from tasks.shared.models.worker import run
from tasks.spine.stage.worker import Reporter
from tests.support.base_models import change_config


@pytest.fixture
def folder(random_model: Path, tmp_path: Path) -> Path:
    """A model of its own for each test, to be spoilt."""
    return Path(shutil.copytree(random_model, tmp_path / "model"))


def problem(folder: Path) -> str:
    job = ModelCheckJob(folder=folder, trust_remote_code=False)
    return run(job, Reporter(folder, silent=True))["problem"]


def test_a_whole_model_has_no_problem_and_another_architecture_is_one(folder: Path) -> None:
    assert problem(folder) == ""
    change_config(folder, num_hidden_layers=3)
    assert "drawn at random" in problem(folder)


@pytest.mark.parametrize("content", ["<html>", "", "{}"])
def test_a_tokenizer_that_cannot_be_read_is_one(folder: Path, content: str) -> None:
    (folder / "tokenizer.json").write_text(content)
    assert problem(folder).startswith(f"{folder}: the tokenizer cannot be read (")


@pytest.mark.parametrize("vocabulary", [{"?": 0}, {"?": 0, "words": 1}])
def test_a_tokenizer_that_reads_nothing_is_one(folder: Path, vocabulary: dict[str, int]) -> None:
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="?").save_pretrained(folder)
    assert "the tokenizer knows nothing of '2 + 3 = 5'" in problem(folder)
