"""Reading what a report shows: its page, its tables, and a stage that writes one without Prefect."""

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from rich.console import Console

from tasks.report.blocks import Table
from tasks.report.render.terminal import terminal_tables
from tasks.spine.store.manifest import Manifest
from tasks.spine.store.settings import Settings
from tests.support.report_worlds import World

VOID = {"meta", "path", "br", "img", "use", "rect"}


class Page(HTMLParser):
    """Collects what a page refers to and whether its tags nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.sources: list[str] = []
        self.names: list[str] = []
        """Where links within the page may lead, and what figures call their parts."""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.names += [values["id"] or ""] if "id" in values else []
        if tag == "a":
            self.links.append(values.get("href") or "")
        elif tag in ("script", "link", "img", "iframe", "image"):
            self.sources.append(str(values))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def shown(tables: list[Table], width: int = 180) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))
    for table in terminal_tables(tables):
        console.print(table)
    return console.export_text()


def settings_of(world: World) -> Settings:
    return Settings(home=Path(world.store.files.root).parent)


class Silent:
    def started(self, build: Any) -> None: ...
    def progress(self, line: dict[str, Any]) -> None: ...
    def metrics(self, line: dict[str, Any]) -> None: ...
    def finished(self, manifest: Manifest | None) -> None: ...
