"""The report of reinforcement mid-training: its numbers, its claims, its page and its tables."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.predict.tally import read_tally
from tasks.report.blocks import joined
from tasks.report.config import ReportConfig, ReportEntry
from tasks.report.numbers.inputs import gather
from tasks.report.numbers.paper import ACCURACY
from tasks.report.numbers.summarise import summarise
from tasks.report.sections.drawing import over_seeds
from tasks.report.sections.order import tables_of
from tasks.report.sections.predictions import predictions_of
from tasks.report.show import tables
from tasks.report.summary import Curve, ReportSummary
from tasks.report.task import REPORT, report
from tasks.report.write import write_report
from tasks.spine.stage.call import StageCall
from tasks.spine.stage.stage import ensure
from tasks.spine.store.runtime import Runtime
from tests.support.report_pages import Page, Silent, settings_of, shown
from tests.support.rmt_report_world import ARMS, BASE, Made, RMTWorld, build_rmt_world

FIGURES = ("claims", "accuracy", "reasoning-length", "match-rate", "losses", "token-share", "pass-at-k")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> RMTWorld:
    """Three seeds of four arms, evaluated after GRPO."""
    arms = ("ntp", "rpt", "rmt", "no-ntp")
    return build_rmt_world(tmp_path_factory.mktemp("rmt"), arms=arms, seeds=(0, 1, 2), documents=60, per_tier=120)


@pytest.fixture(scope="module")
def written(world: RMTWorld, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ReportSummary]:
    out = tmp_path_factory.mktemp("report")
    return out, write_report(world.world.store, world.config(), world.world.parents, out)


def small(folder: Path, **options: Any) -> RMTWorld:
    sizes = {"documents": 30, "per_tier": 40, "samples": 2, "afterwards": False}
    return build_rmt_world(folder, **({"arms": ("rpt", "rmt")} | sizes | options))


def test_writes_every_file(written: tuple[Path, ReportSummary]) -> None:
    out, _ = written
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert names == {"report.html", "summary.md", "summary.json", *(f"plots/{name}.png" for name in FIGURES)}


def test_a_checkpoint_and_the_one_after_rl_have_names_and_files_of_their_own(
    written: tuple[Path, ReportSummary],
) -> None:
    page = (written[0] / "report.html").read_text()
    places = page.partition('<section id="files">')[2].partition("</section>")[0]
    for name in ("RMT, seed 1", "RMT, then RL, seed 1"):
        assert places.count(f"<th>{name}<small>") == 1


def test_held_out_documents_that_share_text_with_those_of_training_are_told(
    written: tuple[Path, ReportSummary],
) -> None:
    (told,) = [warning for warning in written[1].warnings if "held-out documents share" in warning]
    assert told.startswith("3 of 400 held-out documents share a run of words")


def test_result_tables_have_a_readable_row_for_each_model_and_kind(written: tuple[Path, ReportSummary]) -> None:
    summary = written[1]
    predictions, found = predictions_of(summary), joined(tables_of(summary))
    accuracy, scores = found["accuracy"].records(), found["scores"].records()
    assert "95% intervals over 60 documents" in found["accuracy"].title
    assert [(row["model"], row["predicted"]) for row in accuracy] == [
        (row.label, kind) for kind in ("with reasoning", "without") for row in predictions.rows
    ]
    value = re.compile(r"\d+\.\d \[\d+\.\d, \d+\.\d\]")
    assert all(value.fullmatch(row[part]) for row in accuracy for part in predictions.parts)
    assert {row["model"] for row in scores} == {row.label for row in summary.models}
    assert all(row["questions x samples"].endswith(", 3 seeds") for row in scores if "RMT" in row["model"])
    assert {row["on"] for row in found["differences"].records()} >= {"hard tokens", "tiny-test"}


def test_accuracies_are_those_of_the_predictions(world: RMTWorld, written: tuple[Path, ReportSummary]) -> None:
    store, parents = world.world.store, world.world.parents
    for row in predictions_of(written[1]).rows:
        roles = [entry.prediction for entry in world.entries if entry.label == row.label and entry.prediction]
        scores = [store.manifest(parents[role]).summary["accuracy"] for role in roles]
        for mode, found in (("reasoning", row.reasoning), ("direct", row.direct)):
            for part, metric in found.items():
                assert metric.mean == pytest.approx(np.mean([score[mode]["exact"][part]["mean"] for score in scores]))
        assert row.reasoning["mean"].mean == pytest.approx(
            np.mean([row.reasoning[tier].mean for tier in ("easy", "medium", "hard")])
        )
    assert [row.label for row in predictions_of(written[1]).rows] == [
        BASE.label,
        "NTP",
        "RPT",
        "RMT",
        "RMT without NTP",
    ]


def test_seeds_are_one_line_with_their_spread(written: tuple[Path, ReportSummary]) -> None:
    rows = {row.label: row for row in predictions_of(written[1]).rows}
    assert rows[BASE.label].reasoning["mean"].spread is None
    mean = rows["RMT"].reasoning["mean"]
    assert sorted(mean.by_seed) == [0, 1, 2]
    assert mean.spread == pytest.approx(np.std(list(mean.by_seed.values()), ddof=1))
    assert mean.mean == pytest.approx(np.mean(list(mean.by_seed.values())))


def test_claims_say_what_came_out(written: tuple[Path, ReportSummary]) -> None:
    found = written[1].claims
    assert found
    claims = {claim.text: claim for claim in found.claims}
    better = claims["RMT scores above RPT on the mean of the tiers"]
    assert better.status == "holds"
    assert better.rest.startswith("RMT scores above RPT on the mean of the tiers (paper: 46.9 against")
    # The made-up world contradicts the paper here, and that is said as plainly.
    worse = claims["RPT scores above RMT without next-token prediction on the mean of the tiers"]
    assert worse.status == "does not hold"
    assert worse.rest.startswith("RPT scores above")
    assert claims["RMT reasons in fewer tokens than RPT"].status == "holds"
    assert claims["GRPO after RMT solves more problems than GRPO alone (pass@1 on tiny-test)"].status == "holds"
    assert any("without budget" in text for text in found.not_run)
    statuses = [claim.status for claim in found.claims]
    told = f"not holding here: {statuses.count('does not hold')}, holding: {statuses.count('holds')}"
    assert told in found.headline
    ordered = [claim.status for claim in found.in_order]
    assert ordered == sorted(ordered, key=["does not hold", "unclear", "one training", "holds"].index)


def test_one_training_orders_nothing_however_far_apart_two_models_are(tmp_path: Path) -> None:
    world = small(tmp_path, documents=60, per_tier=120)
    found = summarise(gather(world.world.store, world.config(), world.world.parents)).claims
    assert found
    claim = found.claims[0]
    assert claim.status == "one training"
    assert claim.rest.startswith("RMT scores above RPT on the mean of the tiers (paper: 46.9 against")
    assert {claim.status for claim in found.claims} <= {"one training", "unclear"}
    assert "holding: 0, unclear: " in found.headline


def test_equal_models_are_unclear_and_not_equal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARMS, "rpt", Made("RPT", ARMS["rmt"].reasoning, 60, "rpt"))
    world = small(tmp_path)
    summary = write_report(world.world.store, world.config(), world.world.parents, tmp_path / "out")
    assert summary.claims
    claim = summary.claims.claims[0]
    assert claim.status == "unclear"
    assert re.search(r" Differences below about \d+\.\d points would often go unseen\.$", claim.rest)


def test_an_untrained_model_does_not_make_a_comparison_one_of_one_training(written: tuple[Path, ReportSummary]) -> None:
    rows = [row for row in written[1].at_positions if row.baseline.startswith(BASE.label)]
    assert {row.trainings for row in rows} == {3}
    assert "one training" not in {row.verdict for row in rows}


def test_one_seed_beside_an_untrained_model_of_another_is_told_of(tmp_path: Path) -> None:
    world = build_rmt_world(tmp_path, arms=("rpt", "rmt"), seeds=(7,), documents=20, per_tier=40)
    found = summarise(gather(world.world.store, world.config(), world.world.parents))
    assert any(warning.startswith("One training seed") for warning in found.warnings)


def test_comparisons_are_those_asked_for(written: tuple[Path, ReportSummary]) -> None:
    summary = written[1]
    at_positions = summary.at_positions
    assert list(dict.fromkeys((row.baseline, row.candidate) for row in at_positions)) == [
        (BASE.label, "RMT"),
        ("RPT", "RMT"),
        ("RMT without NTP", "RMT"),
        (f"{BASE.label} without reasoning", "RMT"),
    ]
    rows = {row.label: row for row in predictions_of(summary).rows}
    direct = next(row for row in at_positions if row.baseline.endswith("without reasoning"))
    assert direct.difference == pytest.approx(rows["RMT"].reasoning["easy"].mean - rows[BASE.label].direct["easy"].mean)
    assert {(row.baseline, row.candidate) for row in summary.on_questions} == {
        (BASE.label, "RMT"),
        ("RPT", "RMT"),
    }


def test_the_page_needs_nothing_but_itself_and_its_links_stay_within(world: RMTWorld) -> None:
    inner = world.world
    outcome = ensure(
        StageCall(REPORT, report.body, world.config(), Runtime(), inner.parents),
        settings=settings_of(inner),
        watcher=Silent(),
    )
    folder = inner.store.local(outcome.manifest.ref)
    text = (folder / "report.html").read_text()
    page = Page(text)
    assert page.open == []
    assert page.sources == []
    assert text.count('aria-label="Entropy of the texts"') == 2
    assert len(re.findall('aria-label="Schedule, ', text)) == 2 * 4
    assert not re.search(r"url\((?!#)", text)
    assert len(page.links) > 20
    assert {page.names.count(link.removeprefix("#")) for link in page.links} == {1}
    assert outcome.manifest.kind == "report"
    assert shown(tables(outcome.manifest)) == shown(tables_of(ReportSummary.model_validate(outcome.manifest.summary)))
    assert len(json.dumps(outcome.manifest.summary)) < 80_000


def test_the_page_says_what_it_must(written: tuple[Path, ReportSummary]) -> None:
    text = (written[0] / "report.html").read_text()
    for fact in (
        "The small world was built so that reasoning has something to find.",
        "arXiv 2509.24375, Table 1",
        "872",
        "76.9",
        "After GRPO on questions",
        "seeds ±",
        "Entropy of the texts",
        "Untrained (NTR) without reasoning",
        "objective",
        "compare directions, not sizes",
    ):
        assert fact in text, fact


def test_words_of_others_cannot_break_the_page(tmp_path: Path) -> None:
    world = small(tmp_path)
    config = world.config(title="<script>alert(1)</script>", notes=("a < b",))
    write_report(world.world.store, config, world.world.parents, tmp_path / "out")
    assert "<script>" not in (tmp_path / "out" / "report.html").read_text()


def test_the_same_predictions_give_the_same_bytes(world: RMTWorld, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_report(world.world.store, world.config(), world.world.parents, tmp_path / name)
    for path in (tmp_path / "one").rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes(), path


def test_markdown_and_numbers(written: tuple[Path, ReportSummary]) -> None:
    out, summary = written
    text = (out / "summary.md").read_text()
    assert "| RMT | Qwen3-14B | 76.9 | 55.8 | 44.6 | 59.1 | 186-188 |" in text.splitlines()
    assert text.count(f"| {BASE.label} | **") == 4
    assert "\n\n\n" not in text
    numbers = json.loads((out / "summary.json").read_text())
    assert ReportSummary.model_validate(numbers).model_dump() == summary.model_dump()
    assert {curve["stage"] for curve in numbers["curves"]} == {"rmt_train", "rl"}


def test_terminal_tables(written: tuple[Path, ReportSummary]) -> None:
    text = shown(tables_of(written[1]))
    for fact in (
        "over 60 documents, mean of 3 seeds",
        "Without reasoning: the likeliest next token",
        "The paper's (arXiv 2509.24375)",
        "RMT - RPT, at the same positions",
        "What is claimed, and what came out here",
        "4,000 read = 3,600 train documents",
    ):
        assert fact in text, fact


def test_a_prediction_alone_has_a_table(world: RMTWorld) -> None:
    text = shown(tables(world.world.made["prediction-base"]))
    assert f"Next-token accuracy of {world.world.made['base'].ref} at 360 positions of" in text
    assert re.search(r"with reasoning +\d+\.\d \[", text)


def test_other_positions_cannot_be_compared(tmp_path: Path) -> None:
    one, two = small(tmp_path / "one"), small(tmp_path / "two", per_tier=41)
    entries = (one.entries[0], two.entries[1])
    parents = {one.entries[0].prediction: one.world.parents[one.entries[0].prediction]}
    # Both in one store, as two runs with other settings leave it.
    role = two.entries[1].prediction
    source = two.world.store.local(two.world.parents[role])
    target = one.world.folder / "other"
    target.mkdir()
    for path in source.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    manifest = one.world.publish("other", "prediction", "predict", {"other": 1}, parents={"model": "base"})
    config = ReportConfig(entries=entries, resamples=200)
    with pytest.raises(ValueError, match=r"\(120 positions\) and prediction-rpt-0 \(123\) predicted other positions"):
        write_report(one.world.store, config, parents | {role: manifest.ref}, tmp_path / "out")


def test_few_documents_and_lost_completions_are_said(tmp_path: Path) -> None:
    world = small(tmp_path)
    summary = write_report(world.world.store, world.config(), world.world.parents, tmp_path / "out")
    said = "One training seed: the intervals cover the choice of documents"
    assert any(warning.startswith(said) for warning in summary.warnings)
    tally = read_tally(world.world.store.local(world.world.parents["prediction-base"]))
    assert f"{len(tally.documents)} documents: the intervals are rough." in summary.warnings
    assert any(
        "of the completions were cut at the token limit; they count as wrong." in warning
        for warning in summary.warnings
    )


ENTRY = ReportEntry(label="A", checkpoint="base", prediction="a")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"entries": ()}, "at least one evaluation or prediction"),
        ({"entries": (ENTRY, ENTRY)}, "more than once"),
        ({"entries": (ENTRY, ENTRY.model_copy(update={"prediction": "b"}))}, "'A' has seed 0 twice"),
        (
            {"entries": (ENTRY, ENTRY.model_copy(update={"prediction": "b", "checkpoint": "midtrained", "seed": 1}))},
            "give them labels of their own",
        ),
        ({"entries": (ENTRY,), "comparisons": (("A", "B"),)}, "not both labels of one table; there are: A"),
        ({"entries": (ENTRY,), "against_direct": (("B", "A"),)}, "against_direct"),
    ],
)
def test_a_report_of_nothing_or_of_strangers_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ReportConfig(**values)


def test_an_entry_without_a_measurement_is_refused() -> None:
    with pytest.raises(ValueError, match="neither a prediction nor an evaluation"):
        ReportEntry(label="A", checkpoint="base")


def test_a_role_without_a_prediction_is_named(world: RMTWorld, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'prediction-base' is not among the parents"):
        write_report(world.world.store, world.config(), {}, tmp_path)


def test_curves_of_seeds_are_averaged_where_all_have_a_step() -> None:
    one = Curve("A", 0, "rmt_train", ({"step": 0.0, "match": 0.2}, {"step": 1.0, "match": 0.4}))
    two = Curve("A", 1, "rmt_train", ({"step": 0.0, "match": 0.4, "loss_ntp": 1.0},))
    (mean,) = over_seeds([one, two])
    assert mean.points == ({"step": 0.0, "match": pytest.approx(0.3)},)


def test_the_papers_means_are_those_of_its_tiers() -> None:
    for row in ACCURACY:
        if row.easy is not None:
            assert (row.easy + row.medium + row.hard) / 3 == pytest.approx(row.mean, abs=0.011)
