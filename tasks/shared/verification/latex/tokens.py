"""Tokens of LaTeX, and a cursor over them for readers that descend."""

import re

_TOKEN = re.compile(
    r"\s+|\\[,;:!]|\\q?quad(?![A-Za-z])|(?P<number>\d+(?:\.\d+)?)|(?P<matrix>\\(?:begin|end)\{[pb]matrix\})|(?P<command>\\(?:[A-Za-z]+|[{}\\]))"
    r"|(?P<letter>[A-Za-z])|(?P<sign>[-+*/^_!(){}\[\]|,=<>&])"
)


class Unread(Exception):
    """The text is not surely in the subset."""


def tokens(text: str) -> list[str]:
    """The tokens of a text, and the empty string behind the last. Raises Unread."""
    found, position = [], 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise Unread
        if match.lastgroup:
            found.append(match.group())
        position = match.end()
    return [*found, ""]


class Cursor:
    """A place among tokens; the last one is the empty string."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.at = 0

    @property
    def next(self) -> str:
        """The token at this place, which is not passed."""
        return self.tokens[self.at]

    def take(self) -> str:
        """Pass a token and return it; the last is never passed."""
        token = self.next
        self.at = min(self.at + 1, len(self.tokens) - 1)
        return token

    def accept(self, token: str) -> bool:
        """Pass a token if it is this one, and say whether it was."""
        if self.next != token:
            return False
        self.at += 1
        return True

    def expect(self, token: str) -> None:
        """Pass this token. Raises Unread at any other."""
        if not self.accept(token):
            raise Unread
