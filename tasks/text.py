"""Text of users and models on its way to where people read it: no passwords, no control codes, no Markdown."""

import re

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What a terminal, XML or a database takes for something else than a character; line ends and tabs are left alone."""
PASSWORD = re.compile(
    r"(?<=://)[^/?#\s@:\['\"]*:(?!\d*[/?#])(?:(?!://)[^\s'\"])*@(?=[^\s@'\"])"
    r"|(?:(?<=http://)|(?<=https://))[^/?#\s@:\['\"]+@(?=\w)"
)
"""User and password of an address; a slash in the password is one that should have been written as `%2F`.

On the web a user without a password is a token.
"""
_COLON, _SLASH, _AT = (rf"(?:{sign}|%(?:25)*{code})" for sign, code in ((":", "3[aA]"), ("/", "2[fF]"), ("@", "40")))
_BEGIN, _END = _COLON + 2 * _SLASH, r"(?:[/?#]|%(?:25)*(?:2[fF]|3[fF]|23))"
_USER = rf"(?:(?!{_COLON}|{_END}|{_AT})[^&\s\['\"])+"
NESTED_PASSWORD = re.compile(
    rf"({_BEGIN})(?!\*\*\*)(?:{_USER})?{_COLON}(?!\d*{_END})(?:(?!{_BEGIN})[^&\s'\"])*(?={_AT})"
    rf"|([hH][tT][tT][pP][sS]?{_BEGIN})(?!\*\*\*){_USER}(?={_AT}\w)"
)
"""The same in an address that another one holds, percent-encoded once or more."""
_NAMES = (
    "token|sig(?:nature)?|secret|p(?:ass)?w(?:or)?d|passphrase|auth|assertion|verifier|credential|"
    "(?:api|access|account|private|secret)[-_]?key"
)
_WHOLE_NAMES = "code|pass|jwt"
_ANY_CASE, _ANY_CASE_WHOLE = (
    re.sub("[a-z]", lambda letter: f"[{letter[0]}{letter[0].upper()}]", names) for names in (_NAMES, _WHOLE_NAMES)
)
SECRET = re.compile(
    rf"((?:[?&#;]|%(?:25)*(?:3[fF]|26|23))(?:[\w.-]*(?:{_ANY_CASE}|key(?==AIza))|{_ANY_CASE_WHOLE})(?:=|%(?:25)*3[dD]))"
    r"(?!\*\*\*)[^&#\s'\"\\<>]+"
)
"""A parameter of an address that opens what it names: of signed addresses (S3, Google, Azure), access tokens, OAuth.

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
    text = NESTED_PASSWORD.sub(r"\1\2***", text) if "%" in text else text
    return SECRET.sub(r"\1***", text) if "=" in text or "%" in text else text


def has_password(text: str) -> bool:
    """True for text with an address that holds a password, a token or a signature."""
    return without_passwords(text) != text


def in_markdown(text: str) -> str:
    """Text that Markdown shows as it is, within a line."""
    return MARKUP.sub(r"\\\g<0>", printable(" ".join(text.split())))


def markdown_line(text: str) -> str:
    """Text that Markdown shows as it is, as a line of its own."""
    return STARTS.sub(r"\1\\\2", in_markdown(text))
