"""The stage on a model without tags: what it makes passes RMT's check and closes thoughts, and all is counted."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from flows.rmt import rmt
from flows.stages import stage_flow
from tasks.entropy.config import EntropyConfig
from tasks.entropy.task import compute_entropy
from tasks.errors import Permanent
from tasks.predict.config import PredictConfig, PredictionSampling
from tasks.predict.schema import PREDICTIONS_FILE, REASONING
from tasks.predict.task import predict
from tasks.rmt.config import RMTTrainConfig
from tasks.rmt.worker import make_grader
from tasks.shared.engines.tokens import load_tokenizer
from tasks.shared.models.causal_lm import load_causal_lm
from tasks.shared.next_token.config import PredictionPrompt
from tasks.shared.next_token.prompts import PredictionRenderer
from tasks.shared.tables.parquet import Row, read_rows
from tasks.spine.stage.plan import planning
from tasks.spine.stage.stage import Build
from tasks.spine.store.lineage import models_that_saw
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.store import Store
from tasks.texts.config import TextsConfig
from tasks.texts.schema import EVALUATION_FILE, TRAIN_FILE
from tasks.texts.task import load_texts
from tasks.think_tags.config import ThinkTagsConfig
from tasks.think_tags.examples import EXAMPLES_FILE
from tasks.think_tags.task import add_think_tags
from tests.support.bare_home import bare_home
from tests.support.held_out import RUNTIME
from tests.support.paths import TINY_MODEL
from tests.support.small_world import NumberOf, make

pytestmark = pytest.mark.slow

PROMPT = PredictionPrompt(
    style="plain", template="{context}\n[{budget}]", template_without_budget="{context}\n[]", prediction="bare"
)
CONFIG = ThinkTagsConfig(
    enabled=True, prediction_prompt=PROMPT, examples=256, thought_tokens=8, batch_size=8, learning_rate=2e-3
)
OPEN, CLOSE = PROMPT.open_tag, PROMPT.close_tag


@dataclass(frozen=True)
class Tagged:
    """The model with tags, and what it was made from."""

    store: Store
    base: ArtifactRef
    texts: ArtifactRef
    model: ArtifactRef

    @property
    def examples(self) -> list[Row]:
        """Rows that it was trained on."""
        return list(read_rows(self.store.local(self.model) / EXAMPLES_FILE))

    def documents(self, name: str) -> dict[str, Row]:
        """Documents of a split by id."""
        return {row["document_id"]: row for row in read_rows(self.store.local(self.texts) / name)}


@pytest.fixture(scope="module")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tagged]:
    """The small world's base model, which has no tags, after the stage."""

    def point(build: Build, config: Any) -> None:
        build.record(external=str(TINY_MODEL))

    with bare_home(tmp_path_factory.mktemp("home")):
        base = make("model", "model", point, NumberOf(count=1))
        documents = load_texts(TextsConfig(tiny={"count": 200}, evaluation_documents=20), RUNTIME)
        model = add_think_tags(CONFIG, RUNTIME, texts=documents, model=base)
        yield Tagged(Store.open(), base, documents, model)


def test_reinforcement_mid_training_takes_the_model_and_refuses_its_base(tagged: Tagged) -> None:
    def grader(ref: ArtifactRef) -> object:
        folder = tagged.store.local(ref)
        model = load_causal_lm(folder, dtype="float32")
        return make_grader(model, load_tokenizer(folder), RMTTrainConfig(prediction_prompt=PROMPT))

    assert grader(tagged.model)
    with pytest.raises(Permanent, match=r"'<think>'.* is not one token.*think_tags\.enabled=true"):
        grader(tagged.base)


def test_it_closes_its_thoughts_and_predicts_on_documents_that_it_never_saw(tagged: Tagged) -> None:
    entropy = compute_entropy(
        EntropyConfig(context_tokens=128, overlap_tokens=32), RUNTIME, texts=tagged.texts, model=tagged.model
    )
    sampling = PredictionSampling(temperature=1.0, max_new_tokens=24)
    config = PredictConfig(
        prediction_prompt=PROMPT, positions_per_tier=20, samples=2, sampling=sampling, resamples=100, budget_tokens=6
    )
    ref = predict(config, RUNTIME, entropy=entropy, model=tagged.model)
    rows = [row for row in read_rows(tagged.store.local(ref) / PREDICTIONS_FILE) if row["mode"] == REASONING]
    closed = [row for row in rows if row["outcome"] in ("right", "wrong")]
    assert len(closed) > 0.9 * len(rows) > 30
    assert all(row["completion"].startswith(OPEN) and row["completion"].count(CLOSE) == 1 for row in closed)
    assert len({row["predicted"] for row in closed}) > 10


def test_an_example_is_context_thought_and_the_true_next_token(tagged: Tagged) -> None:
    tokenizer = load_tokenizer(tagged.store.local(tagged.model))
    documents, budgets = tagged.documents(TRAIN_FILE), []
    for row in tagged.examples:
        context, _, asked = row["prompt"].rpartition("\n[")
        thought, _, target = row["completion"].removeprefix(OPEN).partition(CLOSE)
        document = documents[row["question_id"]]
        assert document["text"].startswith(context + target)
        assert len(context) >= max(1, document["given_chars"])
        assert 1 <= len(tokenizer.encode(thought, add_special_tokens=False)) <= CONFIG.thought_tokens + 1
        if asked != "]":
            budgets.append(int(asked.removesuffix("]")))
            assert budgets[-1] == len(tokenizer.encode(thought, add_special_tokens=False))
    assert len(tagged.examples) * 0.3 < len(budgets) < len(tagged.examples) * 0.7
    assert len({row["completion"] for row in tagged.examples}) > 100


def test_documents_places_and_tokens_add_up(tagged: Tagged) -> None:
    manifest = tagged.store.manifest(tagged.model)
    ledger = manifest.ledger
    assert ledger["places"] == CONFIG.examples == ledger["examples"] + ledger["empty_thought"] + ledger["special_token"]
    assert manifest.rows["examples"] == ledger["examples"] == len(tagged.examples)
    assert manifest.summary["added"] == [OPEN, CLOSE]
    assert manifest.rows["steps"] == -(-ledger["examples"] // CONFIG.batch_size)


def test_lineage_knows_which_documents_it_saw(tagged: Tagged) -> None:
    seen, held_out = tagged.examples[0]["question_id"], next(iter(tagged.documents(EVALUATION_FILE)))
    (sighting,) = models_that_saw(tagged.store, seen)
    assert (sighting.model.ref, sighting.method, sighting.direct) == (tagged.model, "think tags", True)
    assert models_that_saw(tagged.store, held_out) == []


def test_every_stage_of_the_method_starts_from_the_model_with_tags(tagged: Tagged) -> None:
    on = {"think_tags.enabled": True}
    with planning(tagged.store) as plan:
        rmt.fn(recipe="tiny-cpu-rmt", overrides={"model.source": "embedded", **on}, arms=["ntr", "rmt"])
        whole = {row.ref for row in plan.rows if row.stage == "think_tags"}
        for name in ("entropy", "schedule", "rmt_train", "predict"):
            before = len(plan.rows)
            stage_flow(name).fn(recipe="tiny-cpu-rmt", overrides={"model.source": "embedded", **on})
            assert {row.ref for row in plan.rows[before:] if row.stage == "think_tags"} == whole, name
    with planning(tagged.store) as off:
        rmt.fn(recipe="tiny-cpu-rmt")
    assert len(whole) == 1
    assert "think_tags" not in {row.stage for row in off.rows}


def test_prediction_prompts_with_the_model_s_own_tags_are_no_reason_for_a_warning(
    tagged: Tagged, caplog: pytest.LogCaptureFixture
) -> None:
    worded = PredictionPrompt(style="plain")
    prompt = PredictionRenderer.for_model(worded, tagged.store.local(tagged.model)).prompt("Ann has")
    assert OPEN + CLOSE in prompt
    assert "token of its own" not in caplog.text
