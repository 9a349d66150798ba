"""`midtrain doctor`: a line for everything that was looked at, and an exit code."""

import json
from collections.abc import Iterator
from dataclasses import asdict

from rich.console import Console
from rich.text import Text

from flows.cli.commands import quietly
from flows.cli.printing import FAILED, explained
from flows.doctor.finding import Finding
from tasks.spine.stage.context import run_context
from tasks.spine.store.settings import Settings

STYLES = {"ok": "green", "FAIL": "bold red", "skipped": "yellow"}
NAME_CHARS = 18


def examine(smoke: bool, as_json: bool, console: Console) -> int:
    """Look at this machine, and with `smoke` run on it. Returns an exit code: a failure where a finding is one."""
    found: list[Finding] = []

    def run() -> None:
        with quietly():
            for finding in _findings(run_context().settings, smoke):
                found.append(finding)
                if not as_json:
                    console.print(_line(finding), soft_wrap=True)
        if as_json:
            console.print(json.dumps([asdict(finding) for finding in found], indent=1), soft_wrap=True)

    failed = explained(run, console)
    return failed or (FAILED if any(finding.verdict == "FAIL" for finding in found) else 0)


def _findings(settings: Settings, smoke: bool) -> Iterator[Finding]:
    from flows.doctor.gpu import Gpus
    from flows.doctor.host import look_at_host
    from flows.doctor.services import look_at_services

    gpus = Gpus()
    yield from look_at_host(settings)
    yield from gpus.findings()
    yield from look_at_services(settings)
    if smoke:
        from flows.server.environment import prepare

        prepare(settings)
        from flows.doctor.smoke import smoke_run

        yield from smoke_run(settings, on_gpu=gpus.found)


def _line(finding: Finding) -> Text:
    line = Text.assemble(
        (f"{finding.verdict:<8}", STYLES[finding.verdict]), f"{finding.name:<{NAME_CHARS}}", finding.detail
    )
    return line if finding.verdict != "FAIL" else line.append(f"\n{'':8}{'':{NAME_CHARS}}-> {finding.remedy}")
