"""What counts as a regression, and what CI shows of it."""

from pathlib import Path

import pytest

from flows.cli.gate import markdown, regressions
from tasks.report.rows import ComparisonRow


def row(difference: float, low: float, high: float, metric: str = "pass@1") -> ComparisonRow:
    names = {"baseline": "before", "candidate": "after", "benchmark": "gsm8k", "metric": metric}
    rest = {"p_value": 0.01, "minimum_detectable": None, "confidence": 0.95}
    return ComparisonRow(**names, difference=difference, low=low, high=high, **rest)


@pytest.mark.parametrize(
    ("found", "sure", "lost"),
    [
        (row(-0.03, -0.05, -0.01), False, True),
        (row(-0.03, -0.05, -0.01), True, False),
        (row(-0.05, -0.07, -0.03), True, True),
        (row(-0.01, -0.05, 0.03), False, False),
        (row(-0.02, -0.05, 0.03), False, False),
        (row(0.04, 0.01, 0.07), False, False),
    ],
)
def test_a_loss_beyond_the_margin_is_a_regression(found: ComparisonRow, sure: bool, lost: bool) -> None:
    assert bool(regressions([found], 0.02, sure)) is lost


def test_the_summary_names_the_loss_and_shows_every_row() -> None:
    rows = [row(-0.03, -0.05, -0.01), row(0.04, 0.01, 0.07, "pass@8")]
    text = markdown("ci-1", rows, regressions(rows, 0.02, False), 0.02, False)
    assert "**1 regression** beyond 2 points" in text
    assert "| after | before | gsm8k | pass@1 | −3.0 | [−5.0, −1.0] | 0.010 | **regression** |" in text
    assert "| pass@8 | +4.0 |" in text


def test_the_workflow_calls_commands_that_exist() -> None:
    import yaml
    from typer.testing import CliRunner

    from flows.cli.app import app

    root = Path(__file__).resolve().parents[2]
    workflow = yaml.safe_load((root / ".github" / "workflows" / "midtrain.yml").read_text())
    steps = [step.get("run", "") for step in workflow["jobs"]["run"]["steps"]]
    (call,) = [line.strip() for step in steps for line in step.splitlines() if "midtrain gate" in line]
    known = CliRunner().invoke(app, ["gate", "--help"], env={"COLUMNS": "200"}).output
    assert all(option in known for option in call.split() if option.startswith("--"))
    assert any("prefect deployment run" in step and "--watch" in step for step in steps)
    assert "secrets.PREFECT_API_URL" in workflow["jobs"]["run"]["env"]["PREFECT_API_URL"]
