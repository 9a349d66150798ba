"""`midtrain gate`: the comparisons of a run as Markdown, and a failure where one is a regression beyond a margin."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from flows.cli.output import print_json
from tasks.report.blocks import joined
from tasks.report.render.markdown import markdown_table
from tasks.report.rows import ComparisonRow
from tasks.report.sections.differences import difference_tables
from tasks.text import in_markdown

KEY, COMMITS = "comparisons", "commits"
"""Keys of the table artifacts that a run leaves, see flows/pipeline/pages.py."""


def gate(
    run: str,
    margin: float,
    metrics: Sequence[str],
    sure: bool,
    commit: str,
    summary: Path | None,
    as_json: bool,
    console: Console,
) -> int:
    """Judge a run; returns an exit code, 1 for a regression.

    Args:
        run: name or id of a flow run on the Prefect server, or a report of the store, as report/3f2a9c.
        margin: loss that is put up with, a share: 0.02 is 2 points.
        metrics: what counts; the others are shown.
        sure: count a loss only where the whole interval lies beyond the margin, instead of the difference alone.
        commit: the code that is judged; a run of another is refused. Empty: any.
        summary: file that the Markdown is appended to, as GitHub wants it.
        as_json: print the comparisons for programs in place of the Markdown.

    Raises:
        ValueError: no such run, one without comparisons, none with these metrics, or a run of another commit.
    """
    of_report = run.startswith("report/")
    if commit:
        check_commit(run, commit, _commits_of_report(run) if of_report else _table_of_run(run, COMMITS))
    rows = _of_report(run) if of_report else [ComparisonRow.model_validate(row) for row in _table_of_run(run, KEY)]
    counted = [row for row in rows if row.metric in metrics]
    if not counted:
        shown = ", ".join(sorted({row.metric for row in rows})) or "no comparisons at all"
        raise ValueError(f"{run}: no comparison in {', '.join(metrics)}; there are: {shown}")
    lost = regressions(counted, margin, sure)
    text = markdown(run, rows, lost, margin, sure)
    if summary is not None:
        with summary.open("a") as file:
            file.write(text)
    if as_json:
        shown, losses = ([row.model_dump(mode="json") for row in group] for group in (rows, lost))
        print_json({"run": run, "margin": margin, "sure": sure, "regressions": losses, "comparisons": shown})
    else:
        console.print(text, soft_wrap=True)
    return 1 if lost else 0


def regressions(rows: Sequence[ComparisonRow], margin: float, sure: bool) -> list[ComparisonRow]:
    """Comparisons in which the candidate lost more than the margin."""
    return [row for row in rows if (row.high if sure else row.difference) < -margin]


def markdown(run: str, rows: Sequence[ComparisonRow], lost: Sequence[ComparisonRow], margin: float, sure: bool) -> str:
    """The table of comparisons, with what was lost marked, and the judgement in a sentence."""
    rule = "the whole interval" if sure else "the difference"
    verdict = f"{len(lost)} regression{'s' if len(lost) > 1 else ''}" if lost else "No regression"
    (table,) = joined(difference_tables(rows, lost=lost)).values()
    return f"""## {in_markdown(run)}

**{verdict}** beyond {100 * margin:g} points ({rule} counts).

{markdown_table(table)}

Differences in percentage points, paired on the same questions or positions.
"""


def check_commit(run: str, commit: str, ran: Sequence[Mapping[str, str]]) -> None:
    """Refuse a run of which any part ran other code than that of `commit`.

    Raises:
        ValueError: it did; the message names the parts with their commits.
    """
    others: dict[str, list[str]] = {}
    for row in ran:
        if row["commit"] != commit:
            others.setdefault(row["commit"] or "an unknown commit", []).append(row["what"])
    if others:
        said = "; ".join(f"{', '.join(dict.fromkeys(parts))} at {other}" for other, parts in others.items())
        raise ValueError(
            f"{run} did not run commit {commit}: {said}. Update the workers' checkout, or have deployments pull the "
            "commit (MIDTRAIN_GIT_URL for `midtrain deploy`)"
        )


def _commits_of_report(name: str) -> list[dict[str, str]]:
    from tasks.spine.stage.context import run_context

    return [{"what": "report", "commit": run_context().store.manifest(name).git_commit or ""}]


def _of_report(name: str) -> list[ComparisonRow]:
    from tasks.spine.stage.context import run_context

    return [ComparisonRow.model_validate(row) for row in run_context().store.manifest(name).summary["comparisons"]]


def _table_of_run(name: str, key: str) -> list[dict[str, Any]]:
    """A table that a run left on the server, so that who judges it needs no way to the store."""
    from flows.server.reading import table_of_run

    return table_of_run(name, key)
