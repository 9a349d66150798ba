"""The stage on a model without tags: what it makes passes RMT's check and closes thoughts, and all is counted."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from flows.rmt import rmt
from flows.stages import stage_flow
from tasks.errors import Permanent
from tasks.rmt.config import RMTTrainConfig
from tasks.rmt.worker import make_grader
from tasks.shared.engines.tokens import load_tokenizer
from tasks.shared.models.causal_lm import end_token_ids, load_causal_lm
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
from tasks.think_tags.task import MOST_RISE, add_think_tags, entropy_rise
from tests.support.bare_home import bare_home
from tests.support.held_out import RUNTIME
from tests.support.paths import TINY_MODEL
from tests.support.small_world import NumberOf, make

pytestmark = pytest.mark.slow

PROMPT = PredictionPrompt(
    style="plain",
    template="{context}\n[{budget}]<think>",
    template_without_budget="{context}\n[]<think>",
    prediction="bare",
)
CONFIG = ThinkTagsConfig(
    enabled=True, prediction_prompt=PROMPT, examples=192, thought_tokens=8, batch_size=8, epochs=8, learning_rate=2e-3
)
"""A model of 0.9 million weights needs more steps, and larger ones, than a real one."""
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
    folder = tagged.store.local(tagged.model)
    model, renderer = load_causal_lm(folder, dtype="float32"), PredictionRenderer.for_model(PROMPT, folder)
    reader = renderer.reader(end_token_ids(model.generation_config, renderer.tokenizer.eos_token_id))
    torch.manual_seed(0)
    found = []
    for row in tagged.documents(EVALUATION_FILE).values():
        context = row["text"][: (row["given_chars"] + len(row["text"])) // 2]
        prompt = renderer.tokenizer(renderer.prompt(context, 6), add_special_tokens=False, return_tensors="pt")
        written = model.generate(**prompt, do_sample=True, top_k=0, max_new_tokens=24, num_return_sequences=2)
        found += [reader.read(ids.tolist()) for ids in written[:, prompt["input_ids"].shape[1] :]]
    predicted = [prediction for prediction in found if prediction.outcome == "predicted"]
    assert len(predicted) > 0.7 * len(found) > 20
    assert len({prediction.text for prediction in predicted}) > 5


def test_an_example_is_context_thought_and_the_true_next_token(tagged: Tagged) -> None:
    tokenizer = load_tokenizer(tagged.store.local(tagged.model))
    documents, budgets = tagged.documents(TRAIN_FILE), []
    for row in tagged.examples:
        context, _, asked = row["prompt"].rpartition("\n[")
        thought, _, target = row["completion"].partition(CLOSE)
        document = documents[row["question_id"]]
        assert document["text"].startswith(context + target)
        assert len(context) >= max(1, document["given_chars"])
        assert 1 <= len(tokenizer.encode(thought, add_special_tokens=False)) <= CONFIG.thought_tokens + 1
        if asked != f"]{OPEN}":
            budgets.append(int(asked.removesuffix(f"]{OPEN}")))
            assert budgets[-1] == len(tokenizer.encode(thought, add_special_tokens=False))
    assert len(tagged.examples) * 0.3 < len(budgets) < len(tagged.examples) * 0.7
    assert len({row["completion"] for row in tagged.examples}) > 100


def test_documents_places_and_tokens_add_up(tagged: Tagged) -> None:
    manifest = tagged.store.manifest(tagged.model)
    ledger = manifest.ledger
    assert ledger["places"] == CONFIG.examples == ledger["examples"] + ledger["empty_thought"] + ledger["special_token"]
    assert manifest.rows["examples"] == ledger["examples"] == len(tagged.examples)
    assert manifest.summary["added"] == [OPEN, CLOSE]
    assert manifest.rows["steps"] == -(-ledger["examples"] // CONFIG.batch_size) * CONFIG.epochs


def test_what_the_tags_became_and_what_became_of_plain_text_is_told(
    tagged: Tagged,
) -> None:
    summary = tagged.store.manifest(tagged.model).summary
    tokenizer = load_tokenizer(tagged.store.local(tagged.model))
    lengths = [len(tokenizer(row["prompt"] + row["completion"])["input_ids"]) for row in tagged.examples]
    loss_tokens = tagged.store.manifest(tagged.model).ledger["trained_tokens"] / CONFIG.epochs
    # All but the first, and the end token, carry loss; prompt and completion are tokenized apart.
    assert loss_tokens == pytest.approx(sum(lengths), rel=0.02)
    assert summary["fitted"][OPEN] is None, "every prompt opens the thought itself"
    assert summary["fitted"][CLOSE]["at_its_places"] > 5 * summary["fitted"][CLOSE]["elsewhere"]
    assert entropy_rise([{"entropy": value} for value in (1.0, 9.0, 3.5)]) == 2.5
    assert summary["entropy_rise"] == pytest.approx(entropy_rise(summary["curve"]), abs=1e-3)
    assert summary["entropy_rise"] < MOST_RISE


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
