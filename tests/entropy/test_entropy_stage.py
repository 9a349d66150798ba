"""Texts and entropy as stages: what is published, what is recorded, and what makes them new."""

import json
from pathlib import Path

import pytest

from tasks.entropy.config import EntropyConfig
from tasks.entropy.read import read_documents
from tasks.entropy.task import compute_entropy
from tasks.shared.engines.tokenizer_digest import tokenizer_digest
from tasks.shared.models.config import ModelConfig
from tasks.shared.models.resolve import EMBEDDED_PATH
from tasks.shared.models.task import import_model
from tasks.spine.stage.stage import Build
from tasks.spine.store.fingerprint import canonical
from tasks.spine.store.runtime import Runtime
from tasks.spine.store.store import Store
from tasks.texts.config import TextsConfig
from tasks.texts.task import load_texts
from tests.support.corpus import texts, write_texts
from tests.support.held_out import Numbered, make

pytestmark = pytest.mark.slow
RUNTIME = Runtime(device="cpu", num_threads=1)


def test_a_corpus_becomes_a_table_of_entropies_with_its_picture(tmp_path: Path, bare_home: Store) -> None:
    rows = [{"question": f"How many is {n}?", "answer": text} for n, text in enumerate(texts(30))]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    corpus = TextsConfig(
        source=str(tmp_path / "a.jsonl"), text_field="answer", given_field="question", evaluation_documents=5
    )
    parents = {"texts": load_texts(corpus, RUNTIME), "model": import_model(ModelConfig(), RUNTIME)}
    config = EntropyConfig(context_tokens=64, overlap_tokens=16)
    ref = compute_entropy(config, RUNTIME, **parents)
    assert ref == compute_entropy(config, RUNTIME, **parents)
    assert canonical(config) != canonical(config.model_copy(update={"top_k": 16})), "another table"
    manifest = bare_home.manifest(ref)
    assert manifest.kind == "entropy"
    assert manifest.ledger == {"read": 30, "train_documents": 25, "evaluation_documents": 5, "rejected": 0}
    summary = manifest.summary
    assert summary["tokenizer_digest"] == tokenizer_digest(EMBEDDED_PATH)
    assert (summary["context_tokens"], summary["overlap_tokens"], summary["top_k"]) == (64, 16, 0)
    assert summary["positions_per_s"] > 0
    folder = bare_home.local(ref)
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*")) == [
        "entropy.parquet",
        "plots/entropy.png",
        "rejects.parquet",
    ]
    documents = list(read_documents(folder, "train"))
    assert len(documents) == 25
    assert all(document.given_tokens > 3 for document in documents)


def test_two_workers_make_to_the_byte_what_one_does(bare_home: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(build: Build, config: Numbered) -> None:
        write_texts(build.out, [*texts(200), "x", "a <think> tag"], texts(20, seed=1), group_rows=24)

    parents = {"texts": make("texts", "texts", write, Numbered()), "model": import_model(ModelConfig(), RUNTIME)}
    config = EntropyConfig(context_tokens=24, overlap_tokens=8)
    started: list[str] = []
    worker = Build.worker
    monkeypatch.setattr(Build, "worker", lambda *given, **more: started.append(more["name"]) or worker(*given, **more))
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    made = []
    for runtime in (RUNTIME, RUNTIME.model_copy(update={"num_shards": 2})):
        folder = bare_home.local(compute_entropy(config, runtime, force=True, **parents))
        made.append({path.name: path.read_bytes() for path in folder.rglob("*.*")})
    assert sorted(started) == ["entropy", "entropy-0", "entropy-1"]
    assert made[0] == made[1]
    (manifest,) = bare_home.all("entropy")
    assert manifest.ledger == {"read": 222, "train_documents": 200, "evaluation_documents": 20, "rejected": 2}
