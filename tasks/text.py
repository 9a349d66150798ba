"""Text of users and models on its way to where people read it: no passwords, no control codes, no Markdown."""

import re

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What a terminal, XML or a database takes for something else than a character; line ends and tabs are left alone."""
PASSWORD = re.compile(
    r"(?<=://)[^/?#\s@\['\"]*:(?!\d*[/?#])[^\s'\"]*@(?=[^\s@'\"])|(?:(?<=http://)|(?<=https://))[^/?#\s@:\['\"]+@(?=\w)"
)
"""User and password of an address; a slash in the password is one that should have been written as `%2F`.

On the web a user without a password is a token.
"""
_NAMES = "token|sig(?:nature)?|secret|p(?:ass)?w(?:or)?d|api[-_]?key|auth"
_ANY_CASE = re.sub("[a-z]", lambda letter: f"[{letter[0]}{letter[0].upper()}]", _NAMES)
SECRET = re.compile(rf"(?<=[?&#;])([\w.-]*(?:{_ANY_CASE}|key(?==AIza))=)(?!\*\*\*)[^&#\s'\"\\<>]+")
"""A parameter of an address that opens what it names: of signed addresses (S3, Google, Azure) and of access tokens.

Without flags of Python's, for JSON schemas have none.
"""
MARKUP = re.compile(r"[\\`*_|~$]|](?=[(\[:])|<(?=[A-Za-z/!?])|&(?=[A-Za-z#])")
STARTS = re.compile(r"^(\d*)([-+.)](?=\s|$)|[#>\[])")
"""What would begin a list, a heading, a quotation or a box to tick."""


def printable(text: str) -> str:
    """The text with a replacement character for each control code and half a surrogate pair."""
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def without_passwords(text: str) -> str:
    """The text with `***` for user and password of every address in it, and for tokens and signatures behind one."""
    text = PASSWORD.sub("***@", text) if "://" in text else text
    return SECRET.sub(r"\1***", text) if "=" in text else text


def has_password(text: str) -> bool:
    """True for text with an address that holds a password, a token or a signature."""
    return without_passwords(text) != text


def in_markdown(text: str) -> str:
    """Text that Markdown shows as it is, within a line."""
    return MARKUP.sub(r"\\\g<0>", printable(" ".join(text.split())))


def markdown_line(text: str) -> str:
    """Text that Markdown shows as it is, as a line of its own."""
    return STARTS.sub(r"\1\\\2", in_markdown(text))
