"""Scores and comparisons: the question is the unit, however many seeds answered it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tasks.errors import Permanent
from tasks.evaluate.config import EvaluateConfig
from tasks.evaluate.schema import EVALUATED, REWARDED, SAMPLES_FILE
from tasks.evaluate.score import score as summary_of
from tasks.report.config import ReportConfig, ReportEntry
from tasks.report.numbers.before_rl import check_start
from tasks.report.numbers.collect import Evaluated, QuestionScores, read_evaluation, same_questions
from tasks.report.numbers.statistics import compare, every_metric, headline_metrics, ks, over_benchmarks, score
from tasks.report.rows import ComparisonRow
from tasks.shared.tables.parquet import write_parquet
from tests.support.report_worlds import World, answers

ENTRY = ReportEntry(label="A", arm="polya", checkpoint="rl", evaluation="a")
CONFIG = ReportConfig(entries=(ENTRY,), resamples=1000)


def evaluated(world: World, correct: list[int], *, greedy: list[float] | None = None, seed: int = 0) -> Evaluated:
    ids = tuple(f"{index:016x}" for index in range(len(correct)))
    scores = QuestionScores(ids, 4, np.array(correct), None if greedy is None else np.array(greedy))
    entry = ENTRY.model_copy(update={"seed": seed, "evaluation": f"a-{seed}"})
    return Evaluated(entry, world.made["base"], {"test": scores})


def test_reads_what_the_evaluation_counted(world: World) -> None:
    """Two ways to the same numbers: ours from the samples, and the evaluation's own summary."""
    for entry in world.entries:
        manifest = world.store.manifest(world.parents[entry.evaluation])
        found = read_evaluation(entry, manifest, world.store.local(manifest.ref))
        for benchmark, expected in manifest.summary["scores"].items():
            scores = found.benchmarks[benchmark]
            assert scores.samples == expected["samples"]
            assert len(scores.ids) == expected["questions"]
            for metric in ("greedy", "pass@1", "pass@8", "maj@4", "maj@8"):
                assert score(CONFIG, [found], benchmark, metric).mean == pytest.approx(expected[metric])


def test_what_a_reward_model_chooses_is_read_beside_the_rest(world: World, tmp_path: Path) -> None:
    """The summary of an evaluation and the report have one number, whatever the order of rows."""
    rows = list(answers("x", 0.5, benchmarks={"tiny-test": 30}, samples=8, seed=0))
    draw = np.random.default_rng(0)
    for row in rows:
        likes = float(draw.normal() + (row["verdict"] == "correct"))
        row["reward"] = None if row["sample_index"] < 0 or draw.random() < 0.1 else likes
    write_parquet(reversed(rows), tmp_path / SAMPLES_FILE, REWARDED)
    summary = summary_of(rows, EvaluateConfig(samples=8, resamples=200))["scores"]["tiny-test"]
    found = read_evaluation(ENTRY, world.made["base"], tmp_path)
    names = [name for name in every_metric(8, greedy=True, rewarded=True) if name.startswith("best@")]
    assert names == ["best@2", "best@4", "best@8"]
    for name in names:
        assert score(CONFIG, [found], "tiny-test", name).mean == pytest.approx(summary[name])
    assert summary["best@8"] > summary["pass@1"]
    without = found.benchmarks["tiny-test"].without(found.benchmarks["tiny-test"].ids[:10])
    assert len(without.rewards) == len(without.right_rewarded) == 20


def test_questions_with_missing_samples_are_refused(world: World, tmp_path: Path) -> None:
    rows = list(answers("x", 0.5, benchmarks={"test": 3}, samples=4, seed=0))
    write_parquet(rows[:-1], tmp_path / SAMPLES_FILE, EVALUATED)
    with pytest.raises(ValueError, match="test: questions have 3 to 4 samples"):
        read_evaluation(ENTRY, world.made["base"], tmp_path)


def test_greedy_counts_only_where_every_question_has_it(world: World, tmp_path: Path) -> None:
    rows = [row for row in answers("x", 0.5, benchmarks={"test": 3}, samples=4, seed=0) if row["sample_index"] >= 0]
    write_parquet(rows, tmp_path / SAMPLES_FILE, EVALUATED)
    assert read_evaluation(ENTRY, world.made["base"], tmp_path).benchmarks["test"].greedy is None
    assert pq.read_metadata(tmp_path / SAMPLES_FILE).num_rows == 12


def test_a_start_from_which_groups_seldom_have_a_right_one_is_refused_where_that_is_so_everywhere(world: World) -> None:
    start = evaluated(world, [0, 0, 0, 2])
    check_start(start, group_size=8, most=0.75)
    check_start(evaluated(world, [0, 0, 1, 2]), group_size=8, most=0.7)
    with pytest.raises(Permanent, match=r"max_seldom_share=0\.7: .* 'A', for which a group of 8 .* on 75% of test; n"):
        check_start(start, group_size=8, most=0.7)
    other = evaluated(world, [4, 4, 4, 4]).benchmarks["test"]
    check_start(replace(start, benchmarks=start.benchmarks | {"easy": other}), group_size=8, most=0.7)


def test_scores_by_hand(world: World) -> None:
    found = score(CONFIG, [evaluated(world, [0, 4, 2], greedy=[0, 1, 1])], "test", "pass@1")
    assert found.mean == pytest.approx((0 + 1 + 0.5) / 3)
    assert found.spread is None
    assert score(CONFIG, [evaluated(world, [0, 4, 2])], "test", "pass@2").mean == pytest.approx((0 + 1 + 5 / 6) / 3)


def test_repeating_a_seed_does_not_narrow_the_interval(world: World) -> None:
    rng = np.random.default_rng(0)
    correct = list(rng.integers(0, 5, 40))
    one = score(CONFIG, [evaluated(world, correct)], "test", "pass@1")
    three = score(CONFIG, [evaluated(world, correct, seed=seed) for seed in range(3)], "test", "pass@1")
    assert (three.low, three.high) == pytest.approx((one.low, one.high))
    assert three.spread == 0


def test_seeds_are_averaged_and_their_spread_is_told(world: World) -> None:
    found = score(CONFIG, [evaluated(world, [4, 0], seed=0), evaluated(world, [4, 4], seed=1)], "test", "pass@1")
    assert found.mean == pytest.approx(0.75)
    assert found.by_seed == {0: 0.5, 1: 1.0}
    assert found.spread == pytest.approx(np.std([0.5, 1.0], ddof=1))


def test_a_small_steady_gain_is_seen_only_because_questions_are_paired(world: World) -> None:
    base = [index % 4 for index in range(80)]
    better = [count + 1 if index % 2 else count for index, count in enumerate(base)]
    sides = {"A": [evaluated(world, base)], "B": [evaluated(world, better)]}
    found = compare(CONFIG, sides, ("A", "B"), "test", "pass@1")
    assert found.difference == pytest.approx(0.125)
    assert found.low > 0
    unpaired = [score(CONFIG, sides[label], "test", "pass@1") for label in "AB"]
    assert unpaired[0].high > unpaired[1].low
    back = compare(CONFIG, sides, ("B", "A"), "test", "pass@1")
    assert back.difference == pytest.approx(-found.difference)


@pytest.mark.parametrize("change", ["samples", "ids"])
def test_other_questions_or_counts_cannot_be_compared(world: World, change: str) -> None:
    one, two = evaluated(world, [1, 2]), evaluated(world, [1, 2], seed=1)
    scores = two.benchmarks["test"]
    scores = replace(scores, samples=8) if change == "samples" else replace(scores, ids=("x", "y"))
    with pytest.raises(ValueError, match="same benchmark settings"):
        same_questions("test", [one, replace(two, benchmarks={"test": scores})])


def test_missing_greedy_is_named(world: World) -> None:
    with pytest.raises(ValueError, match="no greedy completions"):
        score(CONFIG, [evaluated(world, [1, 2])], "test", "greedy")


@pytest.mark.parametrize(
    ("samples", "expected"), [(1, (1,)), (2, (1, 2)), (6, (1, 2, 4)), (8, (1, 2, 4, 8)), (64, (1, 2, 4, 8, 16, 32, 64))]
)
def test_ks(samples: int, expected: tuple[int, ...]) -> None:
    assert ks(samples) == expected


@pytest.mark.parametrize(
    ("samples", "expected"),
    [(1, ["pass@1"]), (4, ["pass@1", "pass@4"]), (8, ["pass@1", "pass@8"]), (64, ["pass@1", "pass@8", "pass@64"])],
)
def test_headline(samples: int, expected: list[str]) -> None:
    assert list(headline_metrics(samples, greedy=False)) == expected
    assert list(headline_metrics(samples, greedy=True)) == ["greedy", *expected]


def test_verdicts_go_by_p_values_corrected_over_the_benchmarks_of_a_pair() -> None:
    def row(benchmark: str, p_value: float, metric: str = "pass@1", candidate: str = "B") -> ComparisonRow:
        names = {"baseline": "A", "candidate": candidate, "benchmark": benchmark, "metric": metric}
        return ComparisonRow(
            **names, difference=0.1, low=0.01, high=0.2, p_value=p_value, minimum_detectable=None, confidence=0.95
        )

    rows = [
        row("x", 0.03),
        row("y", 0.04),
        row("x", 0.03, "greedy"),
        row("x", 0.001, candidate="C"),
        row("y", 0.03, candidate="C"),
    ]
    corrected = over_benchmarks(rows)
    assert [item.adjusted_p for item in corrected] == pytest.approx([0.06, 0.06, None, 0.002, 0.03])
    assert [item.verdict for item in corrected] == ["unclear", "unclear", "better", "better", "better"]
    assert [item.verdict for item in rows] == ["better"] * 5
    assert "p = 0.030, corrected p = 0.060)" in corrected[0].sentence.replace("\N{NO-BREAK SPACE}", " ")
