"""What counts as a regression, and what CI shows of it."""

import asyncio
import subprocess
from inspect import signature
from pathlib import Path

import pytest
from prefect.deployments.steps import git_clone
from prefect.deployments.steps.core import run_steps

from flows.cli.gate import check_commit, markdown, regressions
from flows.server.deployments import deployments_file
from flows.server.pulling import COMMIT, REPOSITORY, SECRET
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
    environment = workflow["jobs"]["run"]["env"]
    for secret in ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING", "PREFECT_API_KEY"):
        assert environment[secret] == f"${{{{ secrets.{secret} }}}}"
    assert '--commit "$GITHUB_SHA"' in call
    assert any("midtrain deploy" in step for step in steps)
    assert {REPOSITORY, COMMIT, SECRET} <= set(environment)


def test_a_run_of_another_commit_is_refused_with_what_ran_there() -> None:
    own, other = "a" * 40, "b" * 40
    check_commit("ci-1", own, [{"what": "pipeline", "commit": own}, {"what": "rl", "commit": own}])
    ran = [("pipeline", own), ("rl", other), ("rl", other), ("generate", f"{own}+changes"), ("filter", "")]
    with pytest.raises(ValueError, match=f"did not run commit {own}: rl at {other}; generate at") as refused:
        check_commit("ci-1", own, [{"what": what, "commit": commit} for what, commit in ran])
    assert "filter at an unknown commit" in str(refused.value)


def test_deployments_pull_the_stated_commit_where_a_repository_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (REPOSITORY, COMMIT, SECRET):
        monkeypatch.delenv(name, raising=False)
    (inplace,) = deployments_file()["pull"]
    assert "prefect.deployments.steps.set_working_directory" in inplace
    monkeypatch.setenv(REPOSITORY, "https://git.example/midtrain.git")
    monkeypatch.setenv(COMMIT, "c" * 40)
    monkeypatch.setenv(SECRET, "midtrain-git")
    (cloned,) = deployments_file()["pull"]
    options = cloned["prefect.deployments.steps.git_clone"]
    assert options["commit_sha"] == "c" * 40
    assert options["access_token"] == "{{ prefect.blocks.secret.midtrain-git }}"
    assert set(options) <= set(signature(git_clone).parameters)
    monkeypatch.setenv(REPOSITORY, "https://me:key@git.example/midtrain.git")
    with pytest.raises(ValueError, match="has a password in it"):
        deployments_file()


@pytest.mark.slow
def test_a_run_clones_the_commit_that_is_stated_and_no_later_one(
    prefect_server: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, commits = tmp_path / "project", []

    def git(*arguments: str) -> str:
        who = ("-c", "user.name=somebody", "-c", "user.email=somebody@lab.example")
        return subprocess.run(["git", *who, *arguments], cwd=project, check=True, capture_output=True, text=True).stdout

    project.mkdir()
    git("init")
    for text in ("stated", "later"):
        (project / "code.py").write_text(text)
        git("add", "code.py")
        git("commit", "-m", text)
        commits.append(git("rev-parse", "HEAD").strip())
    monkeypatch.setenv(REPOSITORY, project.as_uri())
    monkeypatch.setenv(COMMIT, commits[0])
    monkeypatch.delenv(SECRET, raising=False)
    (tmp_path / "worker").mkdir()
    monkeypatch.chdir(tmp_path / "worker")
    asyncio.run(run_steps(deployments_file()["pull"]))
    assert [path.read_text() for path in Path("").glob("*/code.py")] == ["stated"]
