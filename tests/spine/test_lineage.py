"""Lineage: forwards, backwards, and down to the single question."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from rich.console import Console, RenderableType

from flows.cli.catalog.lineage import ancestry_tree, sightings
from tasks.dataset.schema import RL, TRAIN
from tasks.midtrain.task import TRAINED_ON as MIDTRAINED_ON
from tasks.questions.schema import QUESTIONS, SOURCE
from tasks.rl.task import TRAINED_ON as RL_TRAINED_ON
from tasks.shared.tables.parquet import write_parquet
from tasks.spine.store.fingerprint import fingerprint
from tasks.spine.store.lineage import ancestry, descendants, models_that_saw
from tasks.spine.store.manifest import Manifest, TrainedRows
from tasks.spine.store.store import Store
from tests.support.publishing import Publish

SEED, HARD, UNUSED = ("a" * 16, "b" * 16, "c" * 16)


@pytest.fixture
def made(store: Store, publish: Publish, tmp_path: Path) -> dict[str, Manifest]:
    """A run of both arms: base -> mid-trained -> RL, and base -> RL."""

    def parquet(
        stage: str, kind: str, name: str, schema: pa.Schema, rows: list[dict[str, Any]], **parents: Manifest
    ) -> Manifest:
        folder = tmp_path / f"{stage}-{name}"
        write_parquet(({column: "" for column in schema.names} | row for row in rows), folder / name, schema)
        refs = {role: manifest.ref for role, manifest in parents.items()}
        key = fingerprint(stage, 1, name, refs)
        return store.publish(
            folder,
            kind=kind,
            stage=stage,
            version=1,
            fingerprint=key,
            payload={},
            parents=refs,
            rows={"rows": len(rows)},
            sources=[SOURCE] if kind == "questions" else [],
        )

    asked = [{"id": SEED, "question": "How many apples?"}, {"id": UNUSED, "question": "Why?"}]
    seeds = parquet("questions", "questions", "questions.parquet", QUESTIONS, asked)
    base = publish(store, "model", "base", stage="model", summary={"source": "embedded"})
    samples = publish(
        store,
        "samples",
        stage="generate",
        facts={"heuristics": "plain prompt (00000000), analogy (11111111)"},
        parents={"questions": seeds.ref, "model": base.ref},
        ledger={"wanted": 4, "generated": 4},
        mlflow_run_id="run-generate",
    )
    kept = publish(
        store,
        "filtered",
        stage="filter",
        parents={"samples": samples.ref, "questions": seeds.ref},
        ledger={"generated": 4, "wrong": 1, "correct": 3},
        facts={"verdicts": "correct 3, wrong 1"},
    )
    rows = [{"question_id": SEED, "rank": rank} for rank in range(3)]
    dataset = parquet("dataset", "dataset", "train.parquet", TRAIN, rows, kept=kept)
    prompts = parquet("rl-set", "dataset", "rl.parquet", RL, [{"question_id": HARD}])

    def trained(name: str, stage: str, on: TrainedRows, start: Manifest, data: Manifest) -> Manifest:
        parents = {"model": start.ref, on.role: data.ref}
        return publish(store, "model", name, stage=stage, parents=parents, trained_on=[on])

    mid = trained("mid", "midtrain", MIDTRAINED_ON, base, dataset)
    polya = trained("polya", "rl", RL_TRAINED_ON, mid, prompts)
    vanilla = trained("vanilla", "rl", RL_TRAINED_ON, base, prompts)
    names = ("seeds", "base", "samples", "kept", "dataset", "prompts", "mid", "polya", "vanilla")
    return dict(zip(names, (seeds, base, samples, kept, dataset, prompts, mid, polya, vanilla), strict=True))


def text_of(renderable: RenderableType) -> str:
    console = Console(width=160, record=True, file=open("/dev/null", "w"))
    console.print(renderable)
    return console.export_text()


def test_ancestry_reaches_the_questions_and_shares_what_is_shared(store: Store, made: dict[str, Manifest]) -> None:
    node = ancestry(store, made["polya"].ref)
    chain = node.parents["model"].parents["dataset"].parents["kept"].parents["samples"]
    assert chain.manifest == made["samples"]
    assert chain.parents["model"] is node.parents["model"].parents["model"]
    order = [item.ref for item in node.walk()]
    assert len(order) == len(set(order)) == 8
    for item in node.walk():
        assert all(order.index(parent.ref) < order.index(item.ref) for parent in item.parents.values())


def test_descendants(store: Store, made: dict[str, Manifest]) -> None:
    def names(of: str) -> set[str]:
        found = {manifest.ref for manifest in descendants(store, made[of].ref)}
        return {name for name, manifest in made.items() if manifest.ref in found}

    assert names("seeds") == {"samples", "kept", "dataset", "mid", "polya"}
    assert names("prompts") == {"polya", "vanilla"}
    assert names("polya") == set()


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (SEED, {("mid", "mid-training", 3, True), ("polya", "mid-training", 3, False)}),
        (HARD, {("polya", "RL", 1, True), ("vanilla", "RL", 1, True)}),
        (UNUSED, set()),
    ],
)
def test_models_that_saw_a_question(
    store: Store, made: dict[str, Manifest], question: str, expected: set[tuple[str, str, int, bool]]
) -> None:
    names = {manifest.ref: name for name, manifest in made.items()}
    seen = models_that_saw(store, question)
    assert {(names[item.model.ref], item.method, item.rows, item.direct) for item in seen} == expected


def test_a_model_made_of_a_trained_one_without_training_saw_its_questions(
    store: Store, publish: Publish, made: dict[str, Manifest]
) -> None:
    parents = {"base": made["base"].ref, "model": made["mid"].ref}
    between = publish(store, "model", "between", stage="interpolate", parents=parents)
    seen = {item.model.ref: item.direct for item in models_that_saw(store, SEED)}
    assert seen[between.ref] is False


def test_a_model_is_traced_to_the_content_it_saw_after_its_dataset_was_rebuilt(
    store: Store, made: dict[str, Manifest], tmp_path: Path
) -> None:
    row = {"prompt": "", "completion": "", "question_id": HARD, "heuristic": "", "rank": 0}
    write_parquet([row], tmp_path / "again/train.parquet", TRAIN)
    old = made["dataset"]
    store.publish(
        tmp_path / "again",
        kind="dataset",
        stage="dataset",
        version=1,
        fingerprint=old.fingerprint,
        payload={},
        parents=old.parents,
    )
    assert made["mid"].ref in {item.model.ref for item in models_that_saw(store, SEED)}
    assert made["mid"].ref not in {item.model.ref for item in models_that_saw(store, HARD)}


def test_ancestry_reads_well(store: Store, made: dict[str, Manifest]) -> None:
    text = text_of(ancestry_tree(store, made["polya"].ref))
    for fact in (
        str(made["polya"].ref),
        f"dataset: {made['dataset'].ref}",
        "heuristics: plain prompt (00000000), analogy (11111111)",
        "verdicts: correct 3, wrong 1",
        "ledger: wanted 4, generated 4",
        "ledger: generated 4, wrong 1, correct 3",
        "MLflow run: run-generate",
        "source: embedded",
        "(as above)",
    ):
        assert fact in text


def test_an_ancestor_that_is_gone_is_named(store: Store, made: dict[str, Manifest]) -> None:
    store.files.remove(made["samples"].ref.path)
    text = text_of(ancestry_tree(store, made["mid"].ref))
    assert f"samples: {made['samples'].ref}  no longer in the store" in text
    assert made["mid"].ref in {item.model.ref for item in models_that_saw(store, SEED)}


def test_sightings_read_well(store: Store, made: dict[str, Manifest]) -> None:
    text = text_of(sightings(store, SEED))
    assert "How many apples?" in text
    assert "mid-training, of a model it starts from" in text
    assert "No model of this store was trained on it" in text_of(sightings(store, UNUSED))
    assert "in no question set" in text_of(sightings(store, "nothing"))
