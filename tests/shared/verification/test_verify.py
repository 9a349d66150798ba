"""The verifier by itself: functions, the command on a file, and the second check."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from flows.cli.app import app
from tasks.shared.verification.second_check import second_verdicts
from tests.support.paths import ROOT

SCRIPT = """
from tasks.shared.verification.second_check import second_verdicts
print(list(second_verdicts([("The answer is 4.", "4")])))
"""
ALONE = """
import sys
from tasks.shared.verification.verify import verify, verify_batch
assert verify(r"so \\boxed{x = 3 \\text{ or } x = 5}", "3, 5").verdict == "correct"
assert verify("The answer is 4.", "5").verdict == "wrong"
verdicts = verify_batch([("The answer is 12 apples.", "12"), ("#### 13", "12")])
assert [verdict.verdict for verdict in verdicts] == ["correct", "wrong"]
assert not {"prefect", "mlflow", "torch", "tasks.recipe", "flows"} & set(sys.modules)
"""


def test_a_pair_and_a_batch_are_verified_without_the_pipeline() -> None:
    done = subprocess.run([sys.executable, "-c", ALONE], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_row_of_a_file_gets_one_verdict(tmp_path: Path) -> None:
    lines = [
        json.dumps({"completion": r"so \boxed{5}", "answer": "5", "id": 1}),
        json.dumps({"completion": "The answer is 12 apples.", "answer": 12}),
        "no JSON",
        json.dumps({"completion": "#### 7", "answer": "8"}),
        json.dumps({"completion": None, "answer": "8"}),
        json.dumps({"completion": "\\boxed{\ud800}", "answer": "8"}),
        json.dumps({"completion": r"\boxed{cat}", "answer": "act"}),
        json.dumps({"completion": "I give up", "answer": "8"}),
        json.dumps({"text": "8"}),
        '{"completion": "#### 6", "answer": "5", "answer": "6"}',
        '{"completion": "#### nan", "answer": NaN}',
    ]
    source, out = tmp_path / "answers.jsonl", tmp_path / "verdicts.parquet"
    source.write_bytes("\n".join(lines).encode() + b'\n{"completion": "\xff"}\n')
    arguments = ["--gold-field", "answer", "--completion-field", "completion", "--out", str(out)]
    done = CliRunner().invoke(app, ["verify", str(source), *arguments])
    assert done.exit_code == 0, done.output
    table = pq.read_table(out)
    assert table.column_names == ["verdict", "extracted", "rule", "seconds"]
    rows = table.to_pylist()
    verdicts = ["correct", "correct", "error", "wrong", "error", "unparsed", "wrong", "unparsed", *["error"] * 4]
    assert [row["verdict"] for row in rows] == verdicts
    assert [row["rule"] for row in rows[:4]] == ["text", "unit", "input", "number"]
    assert [row["extracted"] for row in rows[:4]] == ["5", "12 apples", None, "7"]
    assert all(0 < row["seconds"] < 5 for row in rows if row["verdict"] != "error")
    assert "6 rows cannot be read" in done.output
    assert f"{source}:3 is no JSON" in done.output
    assert f"{source}:10 has more than one field 'answer'" in done.output
    assert f"{source}:11: field 'answer' is not a finite number; ..." in done.output
    assert "disagrees on 1 of 6 rows (16.7%); 1 correct there only (lines 7)" in done.output


def test_the_file_that_is_read_is_never_written_over(tmp_path: Path) -> None:
    source = tmp_path / "answers.jsonl"
    source.write_text(json.dumps({"completion": "1", "answer": "1"}))
    done = CliRunner().invoke(app, ["verify", str(source), "--out", str(source)])
    assert done.exit_code != 0
    assert "the file that is read" in done.output
    assert json.loads(source.read_text())["answer"] == "1"


@pytest.mark.parametrize(
    ("out", "why"),
    [
        ("folder", "is a folder; give a file"),
        ("verdicts.csv", "would hold Parquet; call it verdicts.parquet"),
        ("answers.jsonl/verdicts.parquet", "no file can be written in"),
        ("other.parquet", "is there already and holds no verdicts (4 bytes, no Parquet file)"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_before_anything_is_judged(
    tmp_path: Path, out: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "other.parquet").write_text("mine")
    source = tmp_path / "answers.jsonl"
    source.write_text(json.dumps({"completion": "1", "answer": "1"}))
    monkeypatch.delattr("flows.cli.verify.VerifierPool")
    done = CliRunner().invoke(app, ["verify", str(source), "--out", str(tmp_path / out)])
    assert (done.exit_code, why in done.output) == (1, True), done.output
    assert (tmp_path / "other.parquet").read_text() == "mine"


def test_a_file_of_which_no_row_can_be_read_is_no_success(tmp_path: Path) -> None:
    source, out = tmp_path / "answers.jsonl", tmp_path / "verdicts.parquet"
    source.write_text(json.dumps({"completion": "1", "answer": "1"}))
    for _ in ("first", "over its own verdicts"):
        done = CliRunner().invoke(app, ["verify", str(source), "--out", str(out), "--gold-field", "gold"])
        assert (done.exit_code, "has no field 'gold'" in done.output) == (1, True), done.output
    assert pq.read_table(out)["verdict"].to_pylist() == ["error"]


def test_a_file_without_rows_leaves_no_verdicts(tmp_path: Path) -> None:
    source, out = tmp_path / "answers.jsonl", tmp_path / "verdicts.parquet"
    source.write_text("\n\n")
    done = CliRunner().invoke(app, ["verify", str(source), "--out", str(out)])
    assert done.exit_code != 0
    assert "has no rows" in done.output
    assert not out.exists()


def test_the_second_check_decides_by_itself() -> None:
    pairs = [(r"\boxed{\frac{1}{2}}", "0.5"), ("The answer is 3.", "4"), (r"\boxed{act}", "cat")]
    assert list(second_verdicts(pairs)) == [True, False, True]


def test_a_script_that_asks_for_the_second_check_is_not_run_again(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment)
    assert (done.stdout, done.stderr) == ("[True]\n", "")
