"""Debian's PostgreSQL, installed where that is allowed, with a cluster of its own for a test."""

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.support.network import free_port

PROGRAMS = Path("/usr/lib/postgresql")
DRIVERS = ("asyncpg", "psycopg2")
"""What Prefect and MLflow talk to PostgreSQL with."""


class NotHere(Exception):
    """PostgreSQL cannot be had on this machine; says why."""


@dataclass(frozen=True)
class Postgres:
    """A running server that trusts connections from this machine."""

    port: int
    log: Path

    def create(self, database: str) -> None:
        """Make a database."""
        _postgres([str(_bin() / "createdb"), "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", database])

    def address(self, driver: str, database: str) -> str:
        """Address of a database for SQLAlchemy."""
        return f"postgresql+{driver}://postgres@127.0.0.1:{self.port}/{database}"

    def ask(self, database: str, query: str) -> list[str]:
        """Rows of a query, as text with | between the columns."""
        options = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-At", "-c", query, database]
        return _postgres([str(_bin() / "psql"), *options]).splitlines()


@contextmanager
def running() -> Iterator[Postgres]:
    """A new cluster, as Debian ships it but for its place and port; gone after the block.

    Raises:
        NotHere: PostgreSQL is not installed and may not be, or its drivers are not.
    """
    absent = [name for name in DRIVERS if importlib.util.find_spec(name) is None]
    if absent:
        raise NotHere(f"PostgreSQL drivers are not installed: {', '.join(absent)}")
    _install()
    # Not in pytest's own folder, which PostgreSQL's user may not enter.
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    data, log = folder / "data", folder / "postgres.log"
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    _postgres([str(_bin() / "initdb"), "-D", str(data), "--auth", "trust", "-U", "postgres"])
    port = free_port()
    command = [str(_bin() / "pg_ctl"), "-D", str(data), "-l", str(log), "-w"]
    _postgres([*command, "-o", f"-p {port} -c listen_addresses=127.0.0.1 -k {folder}", "start"])
    leader = psutil.Process(int((data / "postmaster.pid").read_text().splitlines()[0]))
    try:
        yield Postgres(port, log)
    finally:
        _postgres([*command, "-m", "immediate", "stop"])
        psutil.wait_procs([leader], timeout=20)
        shutil.rmtree(folder)


def _bin() -> Path:
    """Debian's programs of the newest version, which are not on the path."""
    found = sorted(PROGRAMS.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if not found:
        raise NotHere(f"no initdb below {PROGRAMS}")
    return found[-1].parent


def _install() -> None:
    try:
        _bin()
        return
    except NotHere:
        pass
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise NotHere("PostgreSQL is not installed, and installing it takes apt-get and root")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", "postgresql"]):
        done = subprocess.run(["apt-get", *command], env=environment, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise NotHere(f"apt-get could not install postgresql: {done.stderr.strip()[-300:]}")


def _postgres(command: list[str]) -> str:
    """Run a program as Debian's user `postgres` where this is root, whom PostgreSQL refuses."""
    user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd="/", **user)
    if done.returncode != 0:
        raise AssertionError(f"{command[0]} failed: {done.stderr or done.stdout}")
    return done.stdout
