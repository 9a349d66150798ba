"""A schedule as an artifact: its rows, what is counted, what is refused before anything is trained."""

import io
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from tasks.errors import Permanent
from tasks.report.ledger import balances
from tasks.schedule.config import ScheduleConfig
from tasks.schedule.schema import PLOT_FILE, SCHEDULE, SCHEDULE_FILE, TEXTS_FILE
from tasks.schedule.schema import TEXTS as TEXTS_SCHEMA
from tasks.schedule.show import first_rows, show
from tasks.schedule.task import write_schedule
from tasks.shared.next_token.config import PredictionPrompt
from tasks.shared.next_token.method import (
    BudgetConfig,
    CurriculumConfig,
    TierConfig,
    budget,
    exact_match,
    prefix_match,
    tier_of,
)
from tasks.shared.tables.parquet import read_rows
from tasks.spine.stage.stage import Outcome
from tasks.spine.store.manifest import Manifest
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.settings import Settings
from tasks.spine.store.store import Store
from tests.support.entropy_table import TEXTS, WORDS, entropy_rows
from tests.support.thinking_tokenizer import thinking_tokenizer

PROMPT = PredictionPrompt(
    style="plain",
    template="{context}\n[{budget}]<think>",
    template_without_budget="{context}\n[]<think>",
    prediction="bare",
)
CONFIG = ScheduleConfig(prediction_prompt=PROMPT, positions_per_step=4, steps=20, continuation_tokens=5)
DOCUMENTS = [f"{text} {number}" for number in range(8) for text in TEXTS]
Maker = Callable[..., Outcome]


@pytest.fixture
def policy(model: Callable[..., ArtifactRef]) -> ArtifactRef:
    return model()


@pytest.fixture
def build(
    make: Maker, policy: ArtifactRef, entropy: Callable[..., ArtifactRef], settings: Settings
) -> Callable[..., tuple[Manifest, Path]]:
    table = entropy(entropy_rows(DOCUMENTS), policy)

    def run(**changes: Any) -> tuple[Manifest, Path]:
        config = CONFIG.model_copy(update=changes)
        found = make(write_schedule.stage, write_schedule.body, config, entropy=table, model=policy).manifest
        return found, Store.open(settings).local(found.ref)

    return run


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return list(read_rows(folder / SCHEDULE_FILE, schema=SCHEDULE))


def test_rows_say_what_the_documents_say(build: Callable[..., tuple[Manifest, Path]]) -> None:
    _, folder = build()
    rows = rows_of(folder)
    table = {row["document_id"]: row for row in entropy_rows(DOCUMENTS)}
    tokenizer = thinking_tokenizer(words=WORDS)
    assert [(row["step"], row["slot"]) for row in rows] == [(step, slot) for step in range(20) for slot in range(4)]
    assert len({(row["document_id"], row["position"]) for row in rows}) == len(rows)
    several = 0
    for row in rows:
        document, place = table[row["document_id"]], row["position"]
        tokens, start = document["tokens"].tolist(), document["context_start"][place]
        assert row["target_token"] == tokens[place]
        assert row["target"] == tokenizer.decode([tokens[place]])
        assert place >= max(1, document["given_tokens"])
        assert row["entropy"] == document["entropy"][place]
        assert row["tier"] == tier_of(row["entropy"], TierConfig())
        assert row["budget"] == budget(row["step"], 20, BudgetConfig())
        assert row["prompt"] == f"{tokenizer.decode(tokens[start:place])}\n[{row['budget']}]<think>"
        assert "\ufffd" not in row["prompt"] + row["continuation"]
        assert DOCUMENTS[int(row["document_id"])].count(row["continuation"])
        whole = [
            len(text.encode())
            for stop in range(place + 1, min(place + 6, len(tokens) + 1))
            if "\ufffd" not in (text := tokenizer.decode(tokens[place:stop]))
        ]
        assert row["boundaries"] == whole
        assert len(row["continuation"].encode()) == whole[-1]
        assert exact_match(row["target"], row["target"])
        assert prefix_match(row["target"], row["continuation"], row["boundaries"])
        several += len(whole) < 5
    assert several, "no continuation has a character that spans tokens"


def test_documents_keep_their_drawn_positions(build: Callable[..., tuple[Manifest, Path]]) -> None:
    manifest, folder = build()
    rows, table = rows_of(folder), {row["document_id"]: row for row in entropy_rows(DOCUMENTS)}
    texts = list(read_rows(folder / TEXTS_FILE, schema=TEXTS_SCHEMA))
    assert [text["document_id"] for text in texts] == sorted({row["document_id"] for row in rows})
    for text in texts:
        own = [row for row in rows if row["document_id"] == text["document_id"]]
        assert text["tokens"] == table[text["document_id"]]["tokens"].tolist()
        assert text["drawn"] == sorted(row["position"] for row in own)
        assert text["first_step"] == min(row["step"] for row in own)
    assert manifest.rows == {"steps": 20, "positions": 80, "documents": len(texts)}


def test_the_ledger_adds_up_and_the_summary_counts_the_rows(build: Callable[..., tuple[Manifest, Path]]) -> None:
    manifest, folder = build()
    rows, ledger, summary = rows_of(folder), manifest.ledger, manifest.summary
    total = sum(len(row["tokens"]) for row in entropy_rows(DOCUMENTS))
    assert ledger["positions"] == total == sum(summary["unusable"].values()) + ledger["drawable"]
    assert ledger["drawable"] == ledger["drawn"] + ledger["unused"]
    assert min(summary["unusable"][reason] for reason in ("nothing_before", "given", "split_character")) > 0
    assert [balance.total[0] for balance in balances(ledger)] == ["positions", "drawable"]
    for tier, count in Counter(row["tier"] for row in rows).items():
        assert summary["tiers"][tier]["drawn"] == count == sum(block[tier] for block in summary["blocks"])
    assert summary["budgets"] == {"0": 800, "30": 494, "70": 259, "100": 160}
    assert [example["step"] for example in summary["examples"]] == [0, 10, 19]
    assert [example["prompt"] for example in summary["examples"][::2]] == [rows[0]["prompt"], rows[-1]["prompt"]]
    assert summary["opens_reasoning"] is True


def test_equal_settings_give_equal_files(build: Callable[..., tuple[Manifest, Path]]) -> None:
    digests = {build()[0].digest, build(max_prompt_tokens=4_097)[0].digest}
    assert len(digests) == 1
    assert build(seed=1)[0].digest not in digests


@pytest.mark.parametrize(
    "other", [BudgetConfig(enabled=False), BudgetConfig(start=9, gamma=0.9), BudgetConfig(start=90_000)]
)
def test_schedules_that_differ_in_budget_draw_the_same_positions(
    build: Callable[..., tuple[Manifest, Path]], other: BudgetConfig
) -> None:
    names = ("step", "slot", "document_id", "position", "tier", "drawn_tier", "target", "continuation")
    limit = {"max_prompt_tokens": 48}
    one, two = rows_of(build(**limit)[1]), rows_of(build(budget=other, **limit)[1])
    assert [[row[name] for name in names] for row in one] == [[row[name] for name in names] for row in two]
    assert [row["prompt"] for row in one] != [row["prompt"] for row in two]


def test_without_a_budget_none_is_asked_for(build: Callable[..., tuple[Manifest, Path]]) -> None:
    manifest, folder = build(budget=BudgetConfig(enabled=False))
    assert all(row["budget"] == 0 and row["prompt"].endswith("\n[]<think>") for row in rows_of(folder))
    assert manifest.summary["budgets"] == {}


def test_fallbacks_are_counted_where_they_happen(build: Callable[..., tuple[Manifest, Path]]) -> None:
    few = TierConfig(easy=0.5, medium=1.0, hard=2.97)
    hard_first = CurriculumConfig(start=(0, 0.2, 0.8), end=(0, 0.2, 0.8))
    manifest, folder = build(tiers=few, curriculum=hard_first)
    pairs = Counter((row["drawn_tier"], row["tier"]) for row in rows_of(folder))
    assert manifest.summary["fallbacks"] == {"hard -> medium": pairs["hard", "medium"]}
    assert pairs["hard", "hard"] == manifest.summary["tiers"]["hard"]["drawable"] > 0
    assert sum(block["fallbacks"] for block in manifest.summary["blocks"]) == pairs["hard", "medium"] > 0


def test_prompts_fit_and_longer_ones_are_counted(build: Callable[..., tuple[Manifest, Path]]) -> None:
    tokenizer = thinking_tokenizer(words=WORDS)
    manifest, folder = build(max_prompt_tokens=48)
    assert manifest.summary["unusable"]["prompt_too_long"] > 0
    assert max(len(tokenizer.encode(row["prompt"])) for row in rows_of(folder)) <= 48


def test_a_text_that_has_more_tokens_in_a_prompt_is_told(
    make: Maker, model: Callable[..., ArtifactRef], entropy: Callable[..., ArtifactRef]
) -> None:
    """A token that spans words: the tokenizer reads it, and never writes it."""
    words = (" of the end",)
    long = thinking_tokenizer(words=words).convert_tokens_to_ids("ĠofĠtheĠend")
    (row,) = entropy_rows([" " * 40], context_tokens=99)
    row = {**row, "tokens": np.full(len(row["tokens"]), long), "entropy": row["entropy"] + 1}
    policy = model("long", words=words)
    config = CONFIG.model_copy(update={"steps": 6, "max_prompt_tokens": 56})
    with pytest.raises(Permanent, match=r"document 0000, position \d+: .*raise schedule\.max_prompt_tokens=56 to \d+"):
        make(write_schedule.stage, write_schedule.body, config, entropy=entropy([row], policy), model=policy)


def test_steps_come_from_epochs_over_the_documents(build: Callable[..., tuple[Manifest, Path]]) -> None:
    assert build(steps=0, epochs=2)[0].rows["steps"] == 2 * len(DOCUMENTS) / 4
    manifest, folder = build(steps=0, epochs=3, max_documents=7)
    assert manifest.rows["steps"] == 6
    assert {row["document_id"] for row in rows_of(folder)} <= {f"{number:04d}" for number in range(7)}


def test_evaluation_documents_are_never_drawn(
    make: Maker, policy: ArtifactRef, entropy: Callable[..., ArtifactRef], settings: Settings
) -> None:
    rows = entropy_rows(DOCUMENTS)
    held_out = sorted(
        ({**row, "split": "evaluation"} if number % 2 else row for number, row in enumerate(rows)),
        key=lambda row: (row["split"], row["document_id"]),
    )
    made = make(write_schedule.stage, write_schedule.body, CONFIG, entropy=entropy(held_out, policy), model=policy)
    drawn = {int(row["document_id"]) for row in rows_of(Store.open(settings).local(made.manifest.ref))}
    assert drawn <= set(range(0, len(rows), 2))
    only_held_out = entropy([row for row in held_out if row["split"] == "evaluation"], policy)
    with pytest.raises(Permanent, match="no training documents"):
        make(write_schedule.stage, write_schedule.body, CONFIG, entropy=only_held_out, model=policy)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 5_000}, r"5000 steps of 4 need 20,000 positions.*schedule\.steps"),
        ({"tiers": TierConfig(easy=4, medium=5, hard=6)}, r"no position of 32 documents.*below_threshold"),
        ({"max_prompt_tokens": 20}, r"max_prompt_tokens=20 leaves no room"),
    ],
)
def test_what_cannot_be_scheduled_is_refused(
    build: Callable[..., tuple[Manifest, Path]], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(Permanent, match=message):
        build(**changes)


def test_entropy_of_another_model_is_refused_unless_asked_for(
    make: Maker, policy: ArtifactRef, model: Callable[..., ArtifactRef], entropy: Callable[..., ArtifactRef]
) -> None:
    proxy = model("proxy")
    table = entropy(entropy_rows(DOCUMENTS), proxy)
    message = rf"(?s){proxy.digest}.*{policy.digest}.*schedule\.entropy_model='proxy'"
    with pytest.raises(Permanent, match=message):
        make(write_schedule.stage, write_schedule.body, CONFIG, entropy=table, model=policy)
    asked = CONFIG.model_copy(update={"entropy_model": "proxy"})
    made = make(write_schedule.stage, write_schedule.body, asked, entropy=table, model=policy)
    assert made.manifest.rows["positions"] == 80


def test_a_proxy_with_another_tokenizer_is_refused(
    make: Maker, policy: ArtifactRef, model: Callable[..., ArtifactRef], entropy: Callable[..., ArtifactRef]
) -> None:
    asked = CONFIG.model_copy(update={"entropy_model": "proxy"})
    table = entropy(entropy_rows(DOCUMENTS), model("other", words=("another", " word")))
    with pytest.raises(Permanent, match=r"tokens of another tokenizer.*[0-9a-f]{64}.*[0-9a-f]{64}"):
        make(write_schedule.stage, write_schedule.body, asked, entropy=table, model=policy)


def test_a_model_without_think_tags_is_refused(
    make: Maker, model: Callable[..., ArtifactRef], entropy: Callable[..., ArtifactRef]
) -> None:
    bare = model("bare", tags=())
    with pytest.raises(Permanent, match=r"'<think>' \(recipe\.prediction_prompt\.open_tag\) is not one token"):
        make(write_schedule.stage, write_schedule.body, CONFIG, entropy=entropy(entropy_rows(TEXTS), bare), model=bare)


@pytest.mark.parametrize("enabled", [True, False])
def test_a_schedule_can_be_looked_at(build: Callable[..., tuple[Manifest, Path]], enabled: bool) -> None:
    manifest, folder = build(curriculum=CurriculumConfig(enabled=enabled), budget=BudgetConfig(enabled=enabled))
    assert (folder / PLOT_FILE).read_bytes().startswith(b"\x89PNG")
    rows = first_rows(folder)
    assert [row["tier"] for row in rows] == ["easy"] * 2 + ["medium"] * 2 + ["hard"] * 2
    console = Console(width=120, record=True, file=io.StringIO())
    for table in show(manifest.summary, rows):
        console.print(table)
    text = console.export_text()
    assert "20 steps of 4 positions" in text
    assert ("494 at 30 %" in text) is enabled
    assert repr(rows[0]["target"]) in text
