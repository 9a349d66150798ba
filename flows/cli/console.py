"""The terminal that commands write to: text is shown as it is, whoever wrote it, and without passwords."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import typer
import typer.core
from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderableType, RenderHook
from rich.segment import Segment

from tasks.errors import tells_the_user
from tasks.text import printable, without_passwords

WIDTH_OF_FILES = 120


def terminal(width: int | None = None) -> Console:
    """A console that reads neither markup nor emoji codes, and shows no control code and no password.

    Args:
        width: characters in a line; None takes the terminal's, or 120 where the output goes elsewhere.
    """
    console = Console(width=width, markup=False, emoji=False, highlight=False)
    if width is None and not console.is_terminal:
        console.width = WIDTH_OF_FILES
    console.push_render_hook(_AsText())
    return console


class _AsText(RenderHook):
    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Shown(renderable) for renderable in renderables]


@dataclass
class _Shown:
    """What is shown of something, as plain text: whatever table or paragraph it stands in."""

    renderable: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for text, style, control in console.render(self.renderable, options):
            yield Segment(text if control else printable(without_passwords(text)), style, control)


console = terminal()


def exit_with(code: int) -> None:
    """End the command with an exit code; 0 lets it go on to its end."""
    if code:
        raise typer.Exit(code)


class Commands(typer.core.TyperGroup):
    """Commands that end with a line instead of a traceback where an error says what to mend."""

    def invoke(self, ctx: typer.Context) -> Any:
        """Run the command that was asked for."""
        # Prefect else greets a new user's terminal with a notice of the usage data that it sends.
        os.environ.setdefault("DO_NOT_TRACK", "1")
        try:
            return super().invoke(ctx)
        except Exception as error:
            if not tells_the_user(error):
                raise
            from flows.cli.printing import FAILED, show_error

            show_error(error, console)
            raise typer.Exit(FAILED) from error
