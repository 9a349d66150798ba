"""What commands print: words of users as they are, whatever they look like, and no password."""

import ast
import io
import time

import pytest
from rich.console import Console
from rich.table import Table

from flows.cli.console import terminal
from flows.cli.plans import plan_table
from flows.cli.printing import FAILED, explained
from tasks.errors import tells_the_user
from tasks.spine.stage.plan import PlannedStage
from tasks.spine.store.ref import ArtifactRef
from tasks.text import without_passwords
from tests.support.paths import ROOT

HOSTILE = (
    "set [bold]questions.fields[/bold] :smile:",
    "[/INST]",
    "[/x] [link=http://a.b]c",
    "[red",
    "$\\frac{$",
    "a|b `c` <b>",
    "{label} %s",
)


@pytest.fixture
def console() -> Console:
    console = terminal(width=400)
    console.file = io.StringIO()
    return console


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("text", HOSTILE)
def test_an_error_is_told_as_it_is(console: Console, text: str) -> None:
    def fail() -> None:
        raise ValueError(text)

    assert explained(fail, console) == FAILED
    assert printed(console) == f"Stopped: {text}\n"


@pytest.mark.parametrize("text", HOSTILE)
def test_tables_and_lines_show_words_as_they_are(console: Console, text: str) -> None:
    ref = ArtifactRef(kind="report", fingerprint="0" * 64, digest="0" * 64)
    console.print(plan_table([PlannedStage("report", "miss", text, None, ref)]))
    table = Table(text, title=text, caption=text)
    table.add_row(text)
    console.print(table)
    console.print(text, {"key": text})
    assert printed(console).count(text) >= 6


def test_control_codes_do_not_reach_the_terminal(console: Console) -> None:
    console.print("\x1b[2Ja\x07b\x9bc\u202ed\ud83d")
    assert printed(console) == "�[2Jab�c�d�\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at http://user:secret@host:5000/x?y failed", "at http://***@host:5000/x?y failed"),
        ("postgresql+psycopg2://user:sec/ret@host/db", "postgresql+psycopg2://***@host/db"),
        ("postgresql://user:s@cret@host/db", "postgresql://***@host/db"),
        ("redis://:secret@host", "redis://***@host"),
        ("http://host:80/a@b, mail@host, s3://bucket/a:b@c", "http://host:80/a@b, mail@host, s3://bucket/a:b@c"),
        ("ssh://git@host/x", "ssh://git@host/x"),
        ("https://secret-token@host/x", "https://***@host/x"),
        ("https://host/@name, https://host?to=a@b", "https://host/@name, https://host?to=a@b"),
        (
            "https://b.s3.host/x?X-Amz-Date=1&X-Amz-Signature=0af",
            "https://b.s3.host/x?X-Amz-Date=1&X-Amz-Signature=***",
        ),
        ("'https://h/x?sv=2&sig=a%2Fb%3D' and 'y'", "'https://h/x?sv=2&sig=***' and 'y'"),
        ("postgresql://h/db?user=me&password=s@c/r", "postgresql://h/db?user=me&password=***"),
        ("GET /x?access_token=abc HTTP/1.1", "GET /x?access_token=*** HTTP/1.1"),
        ("https://h/x?API_KEY=abc&b=1#id_token=d", "https://h/x?API_KEY=***&b=1#id_token=***"),
        ("https://h/x?max_tokens=5&key=name&page=2", "https://h/x?max_tokens=5&key=name&page=2"),
        ("https://h/x?code=4/0A&refresh_token=r&assertion=e.J", "https://h/x?code=***&refresh_token=***&assertion=***"),
        ("https://h/x?client_secret=s&country_code=US", "https://h/x?client_secret=***&country_code=US"),
        ("https://p/?u=https%3A%2F%2Fme%3Asecret%40h%2Fx&v=1", "https://p/?u=https%3A%2F%2F***%40h%2Fx&v=1"),
        ("https://p/?u=https%3A//me%3Asecret%40h/x", "https://p/?u=https%3A//***%40h/x"),
        ("https://p/?u=s3%253A%252F%252Fk%253Ase%252Fcret%2540b", "https://p/?u=s3%253A%252F%252F***%2540b"),
        ("https://p/?u=https%3a%2f%2fsecret-token%40h", "https://p/?u=https%3a%2f%2f***%40h"),
        ("https://p/?u=https%3A%2F%2Fh%3Ftoken%3Dabc%26b%3D1&v=2", "https://p/?u=https%3A%2F%2Fh%3Ftoken%3D***&v=2"),
        ("https://p/?u=http%3A%2F%2Fh%3A80%2Fa%40b", "https://p/?u=http%3A%2F%2Fh%3A80%2Fa%40b"),
        ("http://me:secret@h?u=https://me:secret@h2", "http://***@h?u=https://***@h2"),
    ],
)
def test_passwords_in_addresses_are_never_printed(console: Console, text: str, shown: str) -> None:
    console.print(text)
    assert printed(console) == f"{shown}\n"


def test_a_long_text_is_looked_through_for_passwords_in_no_time() -> None:
    begun = time.process_time()
    for text in ("://" + ":" * 20_000, "%://:" * 10_000, "?" + "token" * 10_000, "https%3A%2F%2F" * 5_000):
        assert without_passwords(text) == text
    assert time.process_time() - begun < 2


def test_every_command_writes_to_the_one_terminal() -> None:
    """A console of its own would read markup."""
    made = [
        path.relative_to(ROOT)
        for path in (ROOT / "flows").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Console"
    ]
    assert [str(path) for path in made] == ["flows/cli/console.py"]


def test_errors_about_files_and_servers_are_told_in_a_line_and_bugs_with_their_traceback() -> None:
    import httpx
    from safetensors import SafetensorError

    from tasks.spine.stage.launch import WorkerFailed
    from tasks.spine.store.store import ArtifactMissing

    told = (SafetensorError("x"), httpx.ConnectError("x"), PermissionError(), WorkerFailed("x"), ArtifactMissing("x"))
    assert all(map(tells_the_user, told))
    assert not any(map(tells_the_user, (KeyError("x"), AttributeError("x"), TypeError("x"), RuntimeError("x"))))
