"""Prediction as a stage: real workers, a model that closes its reasoning at random, documents with split characters."""

import json
from collections import Counter

import pytest

from tasks.entropy.read import read_documents
from tasks.errors import Permanent
from tasks.predict.config import PredictConfig
from tasks.predict.positions import draw_positions
from tasks.predict.schema import DIRECT, PREDICTIONS, PREDICTIONS_FILE, REASONING, SCORES_FILE
from tasks.predict.task import PREDICT, wanted_samples
from tasks.report.reading import CompletionFilter, completions, has_completions, pick, spread
from tasks.shared.engines.tokens import load_tokenizer
from tasks.shared.next_token.method import TIERS
from tasks.shared.next_token.prompts import PredictionRenderer
from tasks.shared.sampling.task import Shards, fill_part
from tasks.spine.store.ref import ArtifactRef
from tests.bench.bare import Silent
from tests.support.held_out import RUNTIME, Held, Numbered, make
from tests.support.random_model import save_random_model
from tests.support.tables import check_schema
from tests.support.thinking_model import CLOSE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def greedy_of_another(held: Held) -> ArtifactRef:
    """Greedy predictions of another checkpoint, which is asked for no budget; made once."""
    sampling = held.config.sampling.model_copy(update={"temperature": 0.0}).model_dump()
    return held.predict(held.trained, budget_tokens=0, sampling=sampling)


def test_every_position_has_its_predictions(held: Held) -> None:
    ref = held.predict(held.base)
    check_schema(held.store.local(ref) / PREDICTIONS_FILE, PREDICTIONS)
    counts = Counter((row["document_id"], row["position"], row["mode"]) for row in held.rows(ref))
    assert {mode: set(counts[key] for key in counts if key[2] == mode) for mode in (DIRECT, REASONING)} == {
        DIRECT: {1},
        REASONING: {3},
    }
    summary = held.store.manifest(ref).summary
    assert held.store.manifest(ref).measured_on == dict.fromkeys(summary["scores"], "entropy")
    assert summary["positions"] == dict.fromkeys(TIERS, 24)
    assert len(counts) == 2 * 72
    assert summary == summary | json.loads((held.store.local(ref) / SCORES_FILE).read_text())
    ledger = held.store.manifest(ref).ledger
    assert ledger["completions"] == 216 == sum(count for name, count in ledger.items() if name != "completions")
    assert {"right", "wrong", "no_prediction", "truncated"} < set(ledger)
    assert ledger["no_prediction"] > 0
    assert ledger["truncated"] > 0


def test_the_base_models_direct_predictions_are_those_of_its_entropy(held: Held) -> None:
    documents = {
        found.document_id: (found.tokens.tolist(), found.top_token.tolist())
        for found in read_documents(held.store.local(held.entropy), "evaluation")
    }
    tokenizer = load_tokenizer(held.store.local(held.base))
    rows = [row for row in held.rows(held.predict(held.base)) if row["mode"] == DIRECT]
    for row in rows:
        tokens, top = documents[row["document_id"]]
        place = row["position"]
        before = tokenizer.decode([tokens[place - 1]])
        assert row["predicted"] == tokenizer.decode([tokens[place - 1], top[place]]).removeprefix(before)
        assert row["correct"] == (tokens[place] == top[place])
    assert len({row["predicted"] for row in rows}) > 1
    others = [row for row in held.rows(greedy_of_another(held)) if row["mode"] == DIRECT]
    assert [row["predicted"] for row in others] != [row["predicted"] for row in rows]


def test_lengths_are_the_tokens_before_the_closing_tag(held: Held) -> None:
    tokenizer = load_tokenizer(held.store.local(held.base))
    closed = 0
    for row in held.rows(held.predict(held.base)):
        if row["mode"] == REASONING:
            before, tag, after = row["completion"].partition(CLOSE)
            assert row["reasoning_tokens"] == len(tokenizer.encode(before, add_special_tokens=False))
            if row["outcome"] in ("right", "wrong"):
                closed += 1
                assert tag == CLOSE
                assert row["predicted"] == after
    assert closed > 50


def test_another_checkpoint_meets_the_same_positions_whatever_its_budget(held: Held) -> None:
    one = held.store.manifest(held.predict(held.base)).summary
    two = held.store.manifest(greedy_of_another(held)).summary
    assert one["positions_digest"] == two["positions_digest"]
    assert (one["budget_tokens"], two["budget_tokens"]) == (12, 0)
    assert one["reasoning_tokens"] != two["reasoning_tokens"]


def test_more_positions_and_samples_keep_the_text_that_was_there_and_shards_make_the_rest(held: Held) -> None:
    few = {_key(row): row["completion"] for row in held.rows(held.predict(held.base)) if row["mode"] == REASONING}
    wider = {"positions_per_tier": 30, "samples": 4}
    config = PredictConfig.model_validate(held.config.model_dump() | wider)
    parents = {"entropy": held.entropy, "model": held.base}
    shards = Shards(PREDICT, wanted_samples, config, RUNTIME, parents, 2)
    before = held.pooled()
    parts = [fill_part(shards, index, Silent()) for index in range(2)]
    made = held.pooled() - before
    assert len(few) == 72 * 3
    assert all(parts)
    assert sum(parts) == len(made) == made.total() == 90 * 4 - len(few)
    rows = held.rows(held.predict(held.base, **wider))
    found = {_key(row): row["completion"] for row in rows if row["mode"] == REASONING}
    assert held.pooled() - before == made, "nothing was left for the stage"
    assert len(found) == 90 * 4
    assert few.items() <= found.items()


def _key(row: dict) -> tuple[str, int, int]:
    return row["document_id"], row["position"], row["sample_index"]


def test_predictions_are_read_with_the_text_that_goes_on_and_the_true_token(held: Held) -> None:
    manifest = held.store.manifest(held.predict(held.base))
    renderer = PredictionRenderer.for_model(held.config.prediction_prompt, held.store.local(held.base))
    drawn = draw_positions(held.store.local(held.entropy), held.config, renderer).positions
    at = {f"{position.document_id}:{position.position}": position for position in drawn}
    read = list(completions(held.store, manifest.ref))
    assert len(read) == 72 * 4
    for row in read:
        position = at[row.question_id]
        assert (row.question, row.gold, row.source) == (position.context, position.target, position.tier)
    reasoned = [row for row in held.rows(manifest.ref) if row["mode"] == REASONING]
    assert [row.completion for row in read if row.heuristic == REASONING] == [row["completion"] for row in reasoned]
    direct = {(row.completion == row.gold, row.verdict) for row in read if row.heuristic == DIRECT}
    assert direct <= {(True, "right"), (False, "wrong")}
    wrong = pick(held.store, manifest.ref, CompletionFilter(heuristic=DIRECT, verdict="wrong", count=3))
    assert [row.verdict for row in wrong] == ["wrong"] * 3
    assert has_completions(manifest)
    some = list(spread(held.store, manifest, 20))
    assert len(some) == 20
    assert set(some) < set(read)


def test_greedy_decoding_has_one_sample(held: Held) -> None:
    rows = [row for row in held.rows(greedy_of_another(held)) if row["mode"] == REASONING]
    assert {row["sample_index"] for row in rows} == {-1}
    assert len(rows) == 72


def test_positions_are_spread_over_documents(held: Held) -> None:
    renderer = PredictionRenderer.for_model(held.config.prediction_prompt, held.store.local(held.base))
    folder = held.store.local(held.entropy)

    def drawn(**changes: object) -> Counter[str]:
        config = PredictConfig.model_validate(held.config.model_dump() | changes)
        positions = draw_positions(folder, config, renderer).positions
        for position in positions:
            assert position.continuation.startswith(position.target)
            assert len(position.target.encode()) in position.boundaries
            assert "\ufffd" not in position.context + position.target
        return Counter(position.document_id for position in positions if position.tier == "hard")

    spread = drawn(positions_per_tier=12)
    assert max(spread.values()) == 1
    assert len(drawn(documents=3, positions_per_tier=12)) <= 3
    assert drawn(positions_per_tier=12, seed=1) != spread


def test_a_checkpoint_with_another_tokenizer_is_refused(held: Held) -> None:
    other = make("model", "model", lambda build, config: save_random_model(build.out), Numbered(number=9))
    with pytest.raises(Permanent, match=r"has another tokenizer \(digest .*\) than the model of entropy/"):
        held.predict(other)


def test_thresholds_that_nothing_reaches_are_an_error(held: Held) -> None:
    with pytest.raises(Permanent, match=r"no position of 16 held-out documents can be predicted: .* below_threshold"):
        held.predict(held.base, tiers={"easy": 90, "medium": 91, "hard": 92})
