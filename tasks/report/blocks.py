"""What sections are made of, whoever shows it: tables, figures, paragraphs and trees, without any markup."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from tasks.report.ledger import Balance
from tasks.report.rows import Metric, percent
from tasks.report.summary import Branch

Medium = Literal["terminal", "markdown", "page", "artifact"]
TEXT: tuple[Medium, ...] = ("terminal", "markdown", "artifact")
PAGE: tuple[Medium, ...] = ("page",)
EVERYWHERE: tuple[Medium, ...] = (*TEXT, *PAGE)
Style = Literal["title", "heading", "sub", "paragraph", "caption", "finding", "note", "care", "list"]


@dataclass(frozen=True)
class Name:
    """What a row or a fold is about: a name, and what a page shows around it."""

    text: str
    aside: str = ""
    detail: str = ""
    link: str = ""
    """Where the detail leads to."""
    colour: str = ""
    after: str = ""
    anchor: str = ""
    """What links lead to that are about what is below it."""

    def __str__(self) -> str:
        return f"{self.text} {self.aside}".strip()


@dataclass(frozen=True)
class Estimate:
    """A number with its interval, and the standard deviation over training seeds, as people read them."""

    mean: str
    low: str
    high: str
    spread: str

    def __str__(self) -> str:
        return f"{self.mean} [{self.low}, {self.high}]"


@dataclass(frozen=True)
class Judgement:
    """What a test allows to say; the tone is `better`, `worse` or `unclear`, and plain text stresses a loud one."""

    text: str
    tone: str
    loud: bool = False

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Strip:
    """An interval drawn on an axis from 0 to 100; one with a judgement's tone has its zero in the middle."""

    low: float
    mean: float
    high: float
    colour: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Sums:
    """Totals and the parts that they fell into, each on a line of its own."""

    balances: Sequence[Balance]

    def __str__(self) -> str:
        return "\n".join(map(str, self.balances))


Cell = str | Name | Estimate | Judgement | Strip | Sums | None
"""None is a number that is not there."""


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    name: str
    """What programs call it."""
    cell: Callable[[Any], Cell] = field(compare=False)
    """What it holds of the thing that a row is about."""
    number: bool = False
    media: tuple[Medium, ...] = EVERYWHERE
    title: str | None = None
    """What people read above it, if not its name."""
    axis: tuple[str, str, str] | None = None
    """What a page has above a column of strips: left, middle and right."""

    @property
    def heading(self) -> str:
        """What people read above it."""
        return self.name if self.title is None else self.title


@dataclass(frozen=True)
class Table:
    """A table as every medium shows it, each in its own way."""

    title: str
    """Above it where there is no section around it."""
    columns: tuple[Column, ...]
    rows: Sequence[tuple[Cell, ...]]
    note: str = ""
    """One line between title and table."""
    media: tuple[Medium, ...] = EVERYWHERE
    look: str = ""
    """CSS class on a page."""
    fold: Name | None = None
    """Line under which a page hides it until it is asked for."""
    group: tuple[str, str] = ("", "")
    """Key and title of the Prefect artifact that it is a part of; empty for none."""
    constants: Mapping[str, str] = field(default_factory=dict)
    """Columns of that artifact that all of these rows share."""

    @classmethod
    def of(cls, title: str, items: Iterable[Any], columns: Iterable[Column], **options: Any) -> "Table":
        """A table with a row for each of some things."""
        every = tuple(columns)
        return cls(title, every, [tuple(column.cell(item) for column in every) for item in items], **options)

    def on(self, medium: Medium) -> "Table":
        """The columns that a medium shows."""
        shown = [index for index, column in enumerate(self.columns) if medium in column.media]
        columns = tuple(self.columns[index] for index in shown)
        return replace(self, columns=columns, rows=[tuple(row[index] for index in shown) for row in self.rows])

    def records(self) -> list[dict[str, str]]:
        """Rows as plain text by the names of the columns."""
        names = [column.name for column in self.columns]
        texts = (["" if cell is None else str(cell) for cell in row] for row in self.rows)
        return [dict(zip(names, row, strict=True)) for row in texts]


@dataclass(frozen=True)
class Paragraph:
    """Words of a section; the lead is stressed, the items are a list below the text."""

    text: str
    style: Style = "paragraph"
    lead: str = ""
    tone: str = ""
    items: Sequence[str] = ()


@dataclass(frozen=True)
class DrawnFigure:
    """A figure in every form."""

    wide: str
    """SVG, text staying text, panels side by side."""
    narrow: str
    """The same for a phone, panels below one another."""
    png: bytes
    """The narrow form; empty for a figure without a file of its own."""


@dataclass(frozen=True)
class Figure:
    """A figure that is drawn when it is shown."""

    name: str
    """Name of its file; empty for one that lies beside the artifact that it shows."""
    title: str
    caption: str
    make: Callable[[], DrawnFigure]
    half: bool = False
    """Whether a page has room for two side by side."""
    fold: Name | None = None
    open: bool = False

    @cached_property
    def drawn(self) -> DrawnFigure:
        """The figure in every form."""
        return self.make()


@dataclass(frozen=True)
class Tree:
    """Lineage as an indented list."""

    branches: Sequence[Branch]


@dataclass(frozen=True)
class Excerpt:
    """A completion as it was written, beside what was asked."""

    name: str
    """What tells it from those beside it."""
    judged: Judgement
    about: str
    """One line of facts."""
    question: str
    text: str


@dataclass(frozen=True)
class Excerpts:
    """Completions side by side, which a page alone shows."""

    items: Sequence[Excerpt]
    fold: Name | None = None
    open: bool = False


Block = Table | Figure | Paragraph | Tree | Excerpts


def estimate(metric: Metric | None, text: Callable[[float], str] = percent) -> Estimate | None:
    """A share, or another number, with its interval."""
    if metric is None:
        return None
    spread = "" if metric.spread is None else text(metric.spread)
    return Estimate(text(metric.mean), text(metric.low), text(metric.high), spread)


def joined(tables: Iterable[Table]) -> dict[str, Table]:
    """Tables of one group as one, by the key of the group; what they have in common becomes columns."""
    groups: dict[str, list[Table]] = {}
    for table in tables:
        if key := table.group[0]:
            groups.setdefault(key, []).append(table.on("artifact"))
    return {key: _join(parts) for key, parts in groups.items()}


def _join(parts: Sequence[Table]) -> Table:
    shared = [Column(name, lambda item, name=name: item.get(name, "")) for name in parts[0].constants]
    columns = {column.name: column for column in shared}
    rows: list[Mapping[str, Cell]] = []
    for part in parts:
        names = [column.name for column in part.columns]
        for column in part.columns:
            columns.setdefault(column.name, replace(column, cell=lambda item, name=column.name: item.get(name, "")))
        rows += [{**part.constants, **dict(zip(names, row, strict=True))} for row in part.rows]
    return Table.of(parts[0].group[1], rows, columns.values())
