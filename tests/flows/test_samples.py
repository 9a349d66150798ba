"""`midtrain samples` on the small pipeline: completions with question, gold and verdict, as they are in its tables."""

import io
import json

import pytest
from rich.console import Console
from typer.testing import CliRunner

from flows.cli.app import app
from flows.cli.catalog.samples import show_samples
from flows.cli.printing import FAILED, explained
from tasks.filter.schema import VERDICTS_FILE
from tasks.report.reading import CompletionFilter, completions, pick
from tasks.shared.tables.parquet import read_rows
from tasks.spine.store.manifest import Manifest
from tasks.spine.store.store import ArtifactMissing, Store
from tests.support.small import Run

pytestmark = pytest.mark.slow


def newest(store: Store, kind: str) -> Manifest:
    return store.all(kind)[-1]


def test_candidates_come_with_their_verdict_and_fate(finished: Run, store: Store) -> None:
    filtered = newest(store, "filtered")
    rows = list(completions(store, filtered.ref))
    judged = {
        (row["question_id"], row["heuristic"], row["sample_index"]): row
        for row in read_rows(store.local(filtered.ref) / VERDICTS_FILE)
    }
    assert len(rows) == len(judged) == filtered.rows["verdicts"]
    for row in rows:
        found = judged[row.question_id, row.heuristic, row.sample_index]
        assert (row.fate == "kept") == found["kept"]
        assert row.verdict == ("truncated" if found["truncated"] else found["verdict"])
        assert row.gold
        assert row.question
    kept = pick(store, filtered.ref, CompletionFilter(verdict="kept", count=3))
    assert [row.verdict for row in kept] == ["correct"] * 3
    assert kept == pick(store, filtered.ref, CompletionFilter(verdict="kept", count=3))
    one = CompletionFilter(heuristic=kept[0].heuristic, question=kept[0].question_id, count=99)
    assert {(row.question, row.heuristic) for row in pick(store, filtered.ref, one)} == {
        (kept[0].question, kept[0].heuristic)
    }


def test_a_report_shows_one_question_through_all_its_models(finished: Run, store: Store) -> None:
    rows = list(completions(store, finished.ref))
    labels = {row.model for row in rows}
    assert {"Base", "RL from mid-trained"} <= labels
    first = rows[0]
    same = pick(store, finished.ref, CompletionFilter(question=first.question, count=10_000))
    assert {row.model for row in same if row.question_id == first.question_id} == labels


def test_samples_alone_are_not_judged(finished: Run, store: Store) -> None:
    rows = pick(store, newest(store, "samples").ref, CompletionFilter(count=4))
    assert {row.verdict for row in rows} <= {"", "truncated"}


def test_text_of_models_is_shown_as_it_is_and_json_has_one_object_a_line(
    finished: Run, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    ref = str(newest(store, "evaluation").ref)
    console = Console(file=io.StringIO(), width=60)
    show_samples(ref, CompletionFilter(count=2), False, console)
    shown = console.file.getvalue()
    show_samples(ref, CompletionFilter(count=2), True, console)
    for line in map(json.loads, capsys.readouterr().out.splitlines()):
        assert line["completion"].strip() in shown
        assert f"gold {line['gold']}" in shown


def test_what_has_no_completions_and_what_matches_nothing_are_said(finished: Run, store: Store) -> None:
    console = Console(file=io.StringIO(), width=200)
    wanted = CompletionFilter(question="no such words")
    for ref, text in (
        (newest(store, "questions").ref, "has no completions; name samples"),
        (finished.ref, "leave some of the options out"),
    ):
        code = explained(lambda ref=ref: show_samples(str(ref), wanted, False, console), console)
        assert code == FAILED
        assert text in console.file.getvalue()
    with pytest.raises(ArtifactMissing, match="no artifact named"):
        show_samples("evaluation/ffff", CompletionFilter(), False, console)


def test_the_options_of_the_command_choose(finished: Run, store: Store) -> None:
    def chosen(ref: str, *options: str) -> list[dict[str, object]]:
        done = CliRunner().invoke(app, ["samples", ref, "--json", *options])
        assert done.exit_code == 0, done.output
        return [json.loads(line) for line in done.stdout.splitlines()]

    filtered, report = str(newest(store, "filtered").ref), str(finished.ref)
    (one, *_) = rows = chosen(filtered, "--verdict", "kept", "--n", "3")
    assert [row["fate"] for row in rows] == ["kept"] * 3
    options = ["--heuristic", str(one["heuristic"]), "--question", str(one["question"])[5:30]]
    assert {(row["heuristic"], row["question"]) for row in chosen(filtered, *options)} == {
        (one["heuristic"], one["question"])
    }
    assert {row["model"] for row in chosen(report, "--model", "Mid-trained")} == {"Mid-trained"}
