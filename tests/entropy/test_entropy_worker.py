"""The worker on real texts under real models: one row per document, nothing lost, errors before any work."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.entropy.config import EntropyConfig, EntropyJob
from tasks.entropy.encoding import Encoded, units_of
from tasks.entropy.read import DocumentEntropy, Split, read_documents
from tasks.entropy.schema import ENTROPY, ENTROPY_FILE
from tasks.entropy.tally import joined
from tasks.entropy.worker import run
from tasks.errors import Permanent
from tasks.shared.models.resolve import EMBEDDED_PATH
from tasks.shared.sources.rejects import REJECTS_FILE
from tasks.shared.tables.parquet import read_rows, write_parquet
from tasks.spine.stage.gpus import Part
from tasks.spine.stage.worker import Reporter
from tasks.spine.store.runtime import Runtime
from tasks.texts.schema import TEXTS, TRAIN_FILE
from tasks.tiny.texts import documents as worked_problems
from tests.support.corpus import document_row, load, plainly, texts, write_texts
from tests.support.paths import ROOT
from tests.support.tables import check_schema

pytestmark = pytest.mark.slow
TRAIN, EVALUATION = texts(40), texts(6, seed=1)


def job(tmp_path: Path, model: Path, folder: Path, **settings: Any) -> EntropyJob:
    config = EntropyConfig.model_validate({"context_tokens": 24, "overlap_tokens": 8, **settings})
    for name in ("units", "out"):
        (tmp_path / name).mkdir(exist_ok=True)
    return EntropyJob(
        config=config,
        model=model,
        texts=folder,
        units=tmp_path / "units",
        runtime=Runtime(device="cpu", num_threads=1),
    )


def computed(asked: EntropyJob) -> dict[str, Any]:
    """What the worker and the stage behind it make of a job, in the folder `out` beside the units."""
    run(asked, Reporter(asked.units.parent))
    return joined(units_of(asked.texts), asked.units, asked.units.with_name("out"))


def read(folder: Path) -> list[DocumentEntropy]:
    splits: tuple[Split, ...] = ("evaluation", "train")
    return [document for split in splits for document in read_documents(folder, split)]


@pytest.mark.parametrize("chunk", [50, 1 << 18])
def test_the_table_holds_every_document_and_what_a_naive_softmax_says(
    random_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr("tasks.entropy.worker.CHUNK_TOKENS", chunk)
    folder = write_texts(tmp_path / "texts", TRAIN, EVALUATION, given_chars=3, group_rows=15)
    asked = job(tmp_path, random_model, folder)
    result = computed(asked)
    check_schema(tmp_path / "out" / ENTROPY_FILE, ENTROPY)
    documents = read(tmp_path / "out")
    rows = {document_row(text, 3)["document_id"]: text for text in [*TRAIN, *EVALUATION]}
    assert [(each.split, each.document_id) for each in documents] == sorted(
        [("train", document_row(text, 3)["document_id"]) for text in TRAIN]
        + [("evaluation", document_row(text, 3)["document_id"]) for text in EVALUATION]
    )
    model = load(random_model)
    for document in documents[::5]:
        # The random model reads bytes, two ids further on for two special tokens; its alphabet is sorted.
        assert len(document.tokens) == len(rows[document.document_id].encode())
        assert document.given_tokens == 3
        same = Encoded(document.document_id, document.split, 3, document.tokens)
        entropy, log_prob, _ = plainly(model, same, document.context_start.tolist(), asked.config)
        np.testing.assert_allclose(document.entropy[1:], entropy, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(document.log_prob[1:], log_prob, rtol=1e-4, atol=1e-4)
    positions = sum(len(document.tokens) - 1 for document in documents)
    assert result["positions"] == positions
    free = {
        split: sum(len(each.tokens) - 3 for each in documents if each.split == split)
        for split in ("train", "evaluation")
    }
    assert result["free_positions"] == free
    assert {split: sum(result["histogram"][split]) for split in free} == free
    assert result["ledger"] == {"read": 46, "train_documents": 40, "evaluation_documents": 6, "rejected": 0}
    assert (tmp_path / "progress.jsonl").read_text().splitlines()[-1].startswith('{"done": 46, "total": 46')


def test_the_embedded_model_expects_solutions_and_no_noise(tmp_path: Path) -> None:
    """It was trained on what follows a question: what is given tells nothing about it."""
    solved = worked_problems("train", 20, 0)
    noise = [f"{n}zq#Xv~kPw@Lm^Jr&Tg" for n in range(20)]
    folder = write_texts(tmp_path / "texts", [], noise)
    rows = [document_row(each.text, each.given_chars) for each in solved]
    write_parquet(sorted(rows, key=lambda row: row["document_id"]), folder / TRAIN_FILE, TEXTS)
    asked = job(tmp_path, EMBEDDED_PATH, folder, context_tokens=512)
    computed(asked)
    surprise = {
        split: -np.mean(
            [each.log_prob[max(1, each.given_tokens) :].mean() for each in read_documents(tmp_path / "out", split)]
        )
        for split in ("train", "evaluation")
    }
    assert surprise["train"] < 1 < 6 < surprise["evaluation"]


def test_rejects_are_listed_and_counted(random_model: Path, tmp_path: Path) -> None:
    bad = ["a <think> tag", "<|endoftext|>", "z"]
    folder = write_texts(tmp_path / "texts", [*TRAIN, *bad], EVALUATION)
    asked = job(tmp_path, random_model, folder)
    result = computed(asked)
    assert result["ledger"] == {"read": 49, "train_documents": 40, "evaluation_documents": 6, "rejected": 3}
    assert sum(result["rejected"].values()) == 3
    rejects = list(read_rows(tmp_path / "out" / REJECTS_FILE))
    assert sorted(row["value"].split(": ", 1)[1] for row in rejects) == sorted(bad)
    assert {row["file"] for row in rejects} == {"train.parquet"}
    assert len(read(tmp_path / "out")) == 46


@pytest.mark.parametrize(
    ("train", "settings", "message"),
    [
        (["a </think> b", "c"], {}, r"no document of the train texts can be used \(.*give texts of at least two"),
        (TRAIN, {"context_tokens": 1_025}, "entropy.context_tokens=1025 is more than the model's context of 1024"),
        (TRAIN, {"top_k": 259}, "entropy.top_k=259 is more than the model's 258 tokens"),
    ],
)
def test_what_cannot_work_is_an_error_that_names_the_fix(
    random_model: Path, tmp_path: Path, train: list[str], settings: dict[str, Any], message: str
) -> None:
    asked = job(tmp_path, random_model, write_texts(tmp_path / "texts", train, EVALUATION), **settings)
    with pytest.raises(Permanent, match=message):
        computed(asked)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_killed_worker_leaves_whole_units_which_are_not_computed_again_whoever_goes_on(tmp_path: Path) -> None:
    folder = write_texts(tmp_path / "texts", texts(1_500, longest=40), EVALUATION, group_rows=250)
    asked, units = job(tmp_path, EMBEDDED_PATH, folder), units_of(folder)
    work = tmp_path / "work"
    work.mkdir()
    (work / "job.json").write_text(asked.model_copy(update={"part": Part(1, 2)}).model_dump_json())
    child = subprocess.Popen([sys.executable, "-m", "tasks.entropy.worker", str(work)], cwd=ROOT)
    while not units[1].table(asked.units).exists() and child.poll() is None:
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert not (work / "result.json").exists()
    kept = {unit.table(asked.units): unit.number for unit in units if unit.table(asked.units).exists()}
    assert set(kept.values()) < {1, 3, 5}
    times = {path: path.stat().st_mtime_ns for path in kept}
    result = computed(asked)
    assert result["ledger"]["read"] == 1_506
    assert times == {path: path.stat().st_mtime_ns for path in kept}
    (tmp_path / "straight").mkdir()
    computed(job(tmp_path / "straight", EMBEDDED_PATH, folder))
    tables = [place / "out" / ENTROPY_FILE for place in (tmp_path, tmp_path / "straight")]
    assert tables[0].read_bytes() == tables[1].read_bytes()
