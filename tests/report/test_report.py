"""The report as a whole: its numbers, its words, its page and its tables."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.decontaminate.schema import OVERLAPS, OVERLAPS_FILE
from tasks.evaluate.schema import SAMPLES_FILE
from tasks.report.config import ReportConfig, ReportEntry
from tasks.report.numbers.collect import read_evaluation
from tasks.report.rows import ComparisonRow, points
from tasks.report.sections.drawing import NARROW_DPI, moving_average
from tasks.report.sections.order import tables_of
from tasks.report.show import tables, warnings
from tasks.report.summary import ReportSummary
from tasks.report.task import REPORT, report
from tasks.report.write import write_report
from tasks.shared.figures import STYLE
from tasks.shared.tables.parquet import read_rows
from tasks.spine.stage.call import StageCall
from tasks.spine.stage.stage import ensure
from tasks.spine.store.manifest import Manifest
from tasks.spine.store.runtime import Runtime
from tests.support.report_pages import Page, Silent, settings_of, shown
from tests.support.report_worlds import COMMIT, HEURISTICS, World, build_world, evaluate


@pytest.fixture(scope="module")
def written(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ReportSummary]:
    out = tmp_path_factory.mktemp("report")
    return out, write_report(world.store, world.config(), world.parents, out)


def test_writes_every_file(written: tuple[Path, ReportSummary]) -> None:
    out, _ = written
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    figures = ("pass-at-k", "training-reward", "training-loss", "heuristics", "styles")
    assert names == {"report.html", "summary.md", "summary.json", *(f"plots/{name}.png" for name in figures)}
    pictures = [(out / f"plots/{name}.png").read_bytes() for name in figures]
    assert all(picture.startswith(b"\x89PNG") for picture in pictures)
    # A page of Prefect leaves a picture 358 of a phone's 390 pixels.
    widths = {int.from_bytes(picture[16:20], "big") for picture in pictures}
    assert all(STYLE["font.size"] / 72 * NARROW_DPI * 358 / width >= 11 for width in widths)


def test_the_numbers_are_those_of_the_evaluations(world: World, written: tuple[Path, ReportSummary]) -> None:
    _, summary = written
    for row in summary.models:
        roles = [entry.evaluation for entry in world.entries if entry.label == row.label]
        expected = world.store.manifest(world.parents[roles[0]]).summary["scores"][row.benchmark]
        assert row.metrics["pass@1"].mean == pytest.approx(expected["pass@1"])
        assert row.mean_tokens == pytest.approx(expected["mean_tokens"])
    assert [row.label for row in summary.models[:4]] == ["Base", "Mid-trained", "RL from base", "RL from mid-trained"]
    assert summary.models[0].headline == ["greedy", "pass@1", "pass@8"]


def test_diversity_of_training_sets_and_composed_answers_are_told(written: tuple[Path, ReportSummary]) -> None:
    out, summary = written
    (row,) = summary.diversity
    assert (row.used_by, row.vendi_per_question, row.self_bleu) == ("Mid-trained, RL from mid-trained", 2.31, 0.42)
    assert [row.label for row in summary.compositions] == list(summary.labels)
    text = (out / "summary.md").read_text()
    assert "| Mid-trained, RL from mid-trained | 610 | 3.20 | 2.31 | 88.40 | 0.42 |" in text
    assert "| model | pass@1 | maj@4 | maj@8 |" in text


def test_what_could_be_known_before_rl_stands_beside_what_it_met(
    world: World, written: tuple[Path, ReportSummary]
) -> None:
    out, summary = written
    rows = [row for row in summary.starts if row.benchmark == "tiny-test"]
    assert [(row.label, row.start, row.group_size) for row in rows] == [
        ("RL from base", "Base", 8),
        ("RL from mid-trained", "Mid-trained", 16),
    ]
    by_label = {row.label: row for row in summary.models if row.benchmark == "tiny-test"}
    for row in rows:
        assert row.solved == pytest.approx(by_label[row.start].metrics["pass@8"].mean)
        assert (row.seen, row.first_entropy, row.last_entropy) == (0.25, 1.2, pytest.approx(0.61))
        assert row.expected.low <= row.expected.mean <= row.expected.high
    # Of 8 samples for a group of 8: all right, or all wrong.
    base = world.made["evaluation-base-0"]
    scores = read_evaluation(world.entries[0], base, world.store.local(base.ref)).benchmarks["tiny-test"]
    assert rows[0].expected.mean == pytest.approx(np.isin(scores.correct, (0, 8)).mean())
    # A group of 8 has none right, more likely than not, below a chance of 8.3 percent: none of 8 samples.
    assert rows[0].seldom.mean == pytest.approx(np.mean(scores.correct == 0))
    page = (out / "report.html").read_text()
    assert "1.20 → 0.61" in page
    assert "below p*" in page
    assert (rows[0].likelihood, rows[1].likelihood and rows[1].likelihood.mean) == (None, -0.61)
    assert "-0.610 [-0.700, -0.520]" in page


def test_a_difference_that_is_there_is_found_and_said_of_several_trainings_alone(
    written: tuple[Path, ReportSummary], three_seeds: World, tmp_path: Path
) -> None:
    row = written[1].findings[0]
    assert (row.candidate, row.verdict, row.trainings) == ("RL from mid-trained", "one training", 1)
    assert row.sentence.startswith("One training: RL from mid-trained scored higher than RL from base in pass@1 on ")
    assert row.sentence.endswith("Other seeds may differ by more than this interval says.")
    assert '<span class="verdict unclear">one training</span>' in (written[0] / "report.html").read_text()
    row = write_report(three_seeds.store, three_seeds.config(), three_seeds.parents, tmp_path).findings[0]
    assert (row.candidate, row.verdict, row.trainings) == ("RL from mid-trained", "better", 3)
    assert row.sentence.startswith("RL from mid-trained scores higher than RL from base in pass@1 on tiny-test: +")


@pytest.mark.parametrize(
    ("low", "high", "p_value", "verdict", "start"),
    [
        (-0.03, 0.05, 0.6, "unclear", "No significant difference between B and A in pass@1 on test: +1.0 points"),
        (0.0, 0.05, 0.04, "unclear", "No significant difference"),
        (0.001, 0.05, 0.09, "unclear", "No significant difference"),
        (
            0.005,
            0.02,
            0.01,
            "better",
            "B scores higher than A in pass@1 on test: +1.0 points (95% interval +0.5 to +2.0",
        ),
        (-0.05, -0.02, 0.0001, "worse", "B scores lower than A"),
    ],
)
def test_the_verdict_needs_interval_and_test(low: float, high: float, p_value: float, verdict: str, start: str) -> None:
    row = ComparisonRow(
        baseline="A",
        candidate="B",
        benchmark="test",
        metric="pass@1",
        difference=0.01,
        low=low,
        high=high,
        p_value=p_value,
        minimum_detectable=0.06,
        confidence=0.95,
    )
    assert row.verdict == verdict
    assert row.sentence.startswith(start)
    if verdict == "unclear":
        assert row.sentence.endswith("Differences below about 6.0 points would often go unseen here.")


@pytest.mark.parametrize(("share", "text"), [(0.1234, "+12.3"), (-0.05, "−5.0"), (0.0002, "0.0"), (-0.0002, "0.0")])
def test_points(share: float, text: str) -> None:
    assert points(share) == text


def test_the_page_needs_nothing_but_itself(written: tuple[Path, ReportSummary]) -> None:
    text = (written[0] / "report.html").read_text()
    page = Page(text)
    assert page.open == []
    assert page.sources == []
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    assert text.count("<svg") >= 2 * 5 + 8


def test_the_page_says_what_it_must(written: tuple[Path, ReportSummary]) -> None:
    text = (written[0] / "report.html").read_text()
    for fact in (
        "The small world was built so that the method has something to show.",
        "One training seed",
        "no significant difference",
        *HEURISTICS,
        "<b>412</b>",
        "MLflow run",
        COMMIT[:10],
        "torch 2.13.0",
        "learning_rate",
        "verdicts",
    ):
        assert fact in text, fact


def test_examples_show_each_heuristic_right_wrong_and_cut_and_one_question_through_all_models(
    written: tuple[Path, ReportSummary],
) -> None:
    out, summary = written
    solutions = [item for item in summary.examples if item.about == "heuristic"]
    assert [item.name for item in solutions] == list(HEURISTICS)
    for item in solutions:
        assert [row.verdict for row in item.completions] == ["correct", "wrong", "truncated"]
        assert {(row.question, row.heuristic) for row in item.completions} == {("How many apples?", item.name)}
    (question,) = [item for item in summary.examples if item.about == "question"]
    assert [row.model for row in question.completions] == ["Base", "Mid-trained", "RL from base", "RL from mid-trained"]
    assert len({row.question for row in question.completions}) == 1
    assert len({row.verdict for row in question.completions}) == 2
    text = (out / "report.html").read_text()
    assert "By analogy: &lt;b&gt;right&lt;/b&gt; $x_1$ &lt;script&gt;" in text
    assert text.count(" characters … ]") == 3 * len(HEURISTICS)


def test_the_page_has_contents_numbered_figures_and_the_command_that_made_it(world: World, tmp_path: Path) -> None:
    command = "midtrain run polya --set 'rl.steps=2' && <b>"
    write_report(world.store, world.config(), world.parents, tmp_path, command)
    text = (tmp_path / "report.html").read_text()
    page = Page(text)
    sections = re.findall(r'<section id="([\w-]+)">', text)
    assert page.links[: len(sections)] == [f"#{name}" for name in sections]
    titles = re.findall(r"<figcaption><b>Figure (\d): ([^<]+)\.</b>", text)
    assert [int(number) for number, _ in titles] == [1, 2, 3, 4, 5]
    assert [text.count(f'role="img" aria-label="{title}"') for _, title in titles] == [2] * 5
    assert "midtrain run polya <span>--set</span> &#39;rl.steps=2&#39; &amp;&amp; &lt;b&gt;" in text


def test_words_stand_out_from_their_ground_and_are_large_enough_for_a_phone(
    written: tuple[Path, ReportSummary],
) -> None:
    style = (written[0] / "report.html").read_text().partition("</style>")[0]
    colours = dict(re.findall(r"--(\w+): #(\w{6})", style))
    grounds = [1.0, luminance(colours.pop("wash"))]
    del colours["line"]
    used = set(re.findall(r"(?<![-\w])color: ([^;]+);", style))
    assert used <= {f"var(--{name})" for name in colours}
    for name, colour in colours.items():
        assert all((ground + 0.05) / (luminance(colour) + 0.05) >= 4.5 for ground in grounds), name
    sizes = [float(size) for size in re.findall(r"font(?:-size)?: ([\d.]+)px", style)]
    assert len(sizes) > 10
    assert min(sizes) >= 11


def luminance(colour: str) -> float:
    """Relative luminance of a colour, as WCAG 2 has it."""
    parts = [part / 255 for part in bytes.fromhex(colour)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_words_of_others_cannot_break_the_page(world: World, tmp_path: Path) -> None:
    config = world.config(title="<script>alert(1)</script> & co", notes=("a < b",))
    write_report(world.store, config, world.parents, tmp_path)
    text = (tmp_path / "report.html").read_text()
    assert "<script>" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; co" in text


def test_markdown_is_a_table(written: tuple[Path, ReportSummary]) -> None:
    text = (written[0] / "summary.md").read_text()
    lines = text.splitlines()
    head = lines.index("| model | greedy | pass@1 | pass@8 |")
    assert lines[head + 1] == "|---|---:|---:|---:|"
    assert [line.split("|")[1].strip() for line in lines[head + 2 : head + 6]] == [
        "Base",
        "Mid-trained",
        "RL from base",
        "RL from mid-trained",
    ]
    assert "\n\n\n" not in text


def test_numbers_as_json(written: tuple[Path, ReportSummary]) -> None:
    out, summary = written
    numbers = json.loads((out / "summary.json").read_text())
    assert ReportSummary.model_validate(numbers).model_dump() == summary.model_dump()
    assert {(curve["label"], curve["stage"], len(curve["points"])) for curve in numbers["curves"]} == {
        ("Mid-trained", "midtrain", 24),
        ("RL from base", "rl", 60),
        ("RL from mid-trained", "rl", 60),
    }


def test_the_same_evaluations_give_the_same_bytes(world: World, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_report(world.store, world.config(), world.parents, tmp_path / name)
    for path in (tmp_path / "one").rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes(), path


def test_terminal_tables(written: tuple[Path, ReportSummary]) -> None:
    text = shown(tables_of(written[1]))
    for fact in (
        "tiny-test: percent right, 95% intervals over 120 questions x 8 samples",
        "RL from mid-trained - RL from base, on the same questions",
        "no significant difference",
        "working backward",
        "52.5 %",
        "questions tiny-test",
        "200 read = 120 kept + 80 beyond limit",
        "412 read = 400 kept + 9 merged + 3 rejected",
        "7,680 rollouts = 4,150 correct + 3,500 wrong + 30 unparsed",
    ):
        assert fact in text, fact


def test_terminal_tables_fit_eighty_columns(written: tuple[Path, ReportSummary]) -> None:
    """Words may wrap there, numbers may not."""
    text = shown(tables_of(written[1]), width=80)
    assert re.search(r"Base +\d+\.\d \[\d+\.\d, \d+\.\d\] +\d+\.\d \[", text)
    assert "…" not in text


def test_an_evaluation_alone_has_a_table(world: World) -> None:
    text = shown(tables(world.made["evaluation-base-0"]))
    assert f"Scores of {world.made['base'].ref}" in text
    assert re.search(r"tiny-test +120 +\d+\.\d \[", text)
    assert tables(world.made["base"]) == []


ASKED = "Prompts of style chat, at most 3,072 new tokens, samples at temperature 1"


def test_how_models_were_asked_stands_above_their_scores_and_what_was_lost_beside_them(
    written: tuple[Path, ReportSummary],
) -> None:
    out, summary = written
    models = [
        row.model_copy(update={"truncated_share": 0.424, "unparsed_share": 0.061}) if row.label == "Base" else row
        for row in summary.models
    ]
    text = shown(tables_of(summary.model_copy(update={"models": models})), width=120)
    assert text.count(ASKED) == 2 * len(summary.benchmarks)
    assert re.search(r"Base +\d+ +42\.4 +6\.1", text)
    for name in ("report.html", "summary.md"):
        assert ASKED in (out / name).read_text()
    models[0] = models[0].model_copy(update={"asked": "Prompts of style plain"})
    text = shown(tables_of(summary.model_copy(update={"models": models})), width=400)
    assert f"Base: Prompts of style plain; Mid-trained: {ASKED}; " in text


def test_an_evaluation_alone_says_what_was_lost(world: World) -> None:
    manifest = world.made["evaluation-base-0"]
    assert warnings(manifest) == []
    scores = {name: dict(values) for name, values in manifest.summary["scores"].items()}
    scores["tiny-test"] |= {"truncated_share": 0.424, "unparsed_share": 0.051, "empty_share": 0.0502}
    lost = manifest.model_copy(update={"summary": {**manifest.summary, "scores": scores}})
    text = shown(tables(lost), width=120)
    assert text.count(ASKED) == 2
    assert re.search(r"tiny-test +\d+ +42\.4 +5\.1", text)
    assert warnings(lost) == [
        "tiny-test: 42.4 % of the completions were cut at the token limit; they count as wrong.",
        "tiny-test: 5.0 % of the completions are empty, the model ends at once (see whether prompt.style is the form "
        "it knows); they count as wrong.",
        "tiny-test: 5.1 % of the completions have no readable answer; they count as wrong.",
    ]


def publish_report(world: World) -> Manifest:
    outcome = ensure(
        StageCall(REPORT, report.body, world.config(), Runtime(), world.parents),
        settings=settings_of(world),
        watcher=Silent(),
    )
    return outcome.manifest


def test_as_a_stage_it_lies_in_the_store_and_its_links_work_wherever_it_is_read(world: World) -> None:
    manifest = publish_report(world)
    folder = world.store.local(manifest.ref)
    page = Page((folder / "report.html").read_text())
    assert len(page.links) > 20
    assert {page.names.count(link.removeprefix("#")) for link in page.links} == {1}
    for model in ("base", "mid-0", "vanilla-0", "polya-0"):
        assert str(world.store.local(world.made[model].ref)) in (folder / "report.html").read_text()
    assert shown(tables(manifest)) == shown(tables_of(ReportSummary.model_validate(manifest.summary)))
    assert len(json.dumps(manifest.summary)) < 50_000


def test_three_seeds_are_one_line_with_their_spread(three_seeds: World, tmp_path: Path) -> None:
    summary = write_report(three_seeds.store, three_seeds.config(), three_seeds.parents, tmp_path)
    rows = {row.label: row for row in summary.models}
    assert rows["Base"].seeds == [0]
    assert rows["Base"].metrics["pass@1"].spread is None
    trained = rows["RL from mid-trained"]
    assert trained.seeds == [0, 1, 2]
    assert trained.metrics["pass@1"].mean == pytest.approx(sum(trained.metrics["pass@1"].by_seed.values()) / 3)
    assert {row.name: row.samples for row in summary.heuristics} == dict.fromkeys(HEURISTICS, 1200)
    adherence = {row.name: row.mean_adherence for row in summary.heuristics}
    assert adherence == pytest.approx({name: 0.2 + 0.1 * index for index, name in enumerate(HEURISTICS)})
    chance = {row.name: row.by_chance for row in summary.heuristics}
    assert chance == pytest.approx({name: 3 * (2.5 + index) for index, name in enumerate(HEURISTICS)})
    counts = {(row.goes_on, row.truncated, row.unparsed, row.mean_tokens) for row in summary.heuristics}
    assert counts == {(60, 24, 12, 31.5)}
    alone = {row.name: row.solves_alone for row in summary.heuristics}
    assert alone == {name: 3 * (3 + index) for index, name in enumerate(HEURISTICS)}
    assert [row.mean_arithmetic for row in summary.heuristics] == pytest.approx([0.9] * len(HEURISTICS))
    assert not any("One training seed" in warning for warning in summary.warnings)
    used = {(stage.stage, stage.used_by) for stage in summary.stages}
    assert ("generate", "polya, seed 1") in used
    assert ("rl-set", "all") in used
    assert "seeds ±" in (tmp_path / "report.html").read_text()


def test_what_is_amiss_is_said(tmp_path: Path) -> None:
    world = build_world(tmp_path, benchmarks={"tiny-test": 20})
    ids = [f"{number:016x}" for number in range(5)]
    world.table("leak", OVERLAPS_FILE, OVERLAPS, [{"benchmark": "tiny-test", "benchmark_id": id_} for id_ in ids])
    world.publish("leak", "questions", "decontaminate", rows={"overlaps": 5})
    world.publish("leaky", "model", "rl", parents={"model": "base", "prompts": "leak"})
    leaky = ReportEntry(label="Leaky", arm="leaky", checkpoint="rl", evaluation="evaluation-leaky")
    evaluate(world, "leaky", leaky, 0.5, benchmarks={"tiny-test": 20})
    lost = world.made["samples-0"].ref
    world.store.files.remove(lost.path)
    summary = write_report(world.store, world.config(), world.parents, tmp_path / "out")
    assert "tiny-test has 20 questions: its intervals are rough." in summary.warnings
    assert f"{lost} is no longer in the store; its part of the lineage cannot be shown." in summary.warnings
    page = (tmp_path / "out/report.html").read_text()
    assert "no longer in the store" in page
    assert "clean pass@1" in page
    assert sum("5 of 20 questions of tiny-test share text with training questions" in text for text in summary.warnings)
    samples = world.store.local(world.parents["evaluation-leaky"]) / SAMPLES_FILE
    clean = [row for row in read_rows(samples) if row["sample_index"] >= 0 and row["question_id"] not in ids]
    (row,) = [row for row in summary.models if row.label == "Leaky"]
    assert row.clean is not None
    assert row.clean.mean == pytest.approx(sum(item["verdict"] == "correct" for item in clean) / len(clean))
    assert all(row.overlapping == 5 for row in summary.models)


def test_one_model_alone_has_a_report(world: World, tmp_path: Path) -> None:
    entry = world.entries[0]
    config = ReportConfig(entries=(entry,), resamples=200)
    summary = write_report(world.store, config, {entry.evaluation: world.parents[entry.evaluation]}, tmp_path)
    assert summary.comparisons == []
    assert [path.name for path in (tmp_path / "plots").iterdir() if path.suffix == ".png"].count("pass-at-k.png") == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"entries": ()}, "at least one evaluation"),
        (
            {"comparisons": (("RL from base", "RL from midtrained"),)},
            "not both labels of one table; there are: Base, Mid",
        ),
    ],
)
def test_a_report_of_nothing_or_of_strangers_is_refused(world: World, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        world.config(**changes)


def test_a_role_used_twice_is_refused() -> None:
    entry = ReportEntry(label="A", checkpoint="base", evaluation="a")
    with pytest.raises(ValueError, match="more than once"):
        ReportConfig(entries=(entry, entry))


def test_a_role_without_an_evaluation_is_named(world: World, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'evaluation-base-0' is not among the parents"):
        write_report(world.store, world.config(), {}, tmp_path)


@pytest.mark.parametrize(
    ("values", "expected"), [([1, 1, 1], [1, 1, 1]), ([0, 3, 0], [1.5, 1, 1.5]), ([5], [5]), ([], [])]
)
def test_moving_average(values: list[float], expected: list[float]) -> None:
    assert moving_average(values, 3) == expected
