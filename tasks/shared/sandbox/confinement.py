"""Ways to confine a program: bubblewrap, or Linux namespaces."""

import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path

DISK_BYTES = "<bytes>"
"""Stands in a command for the size of the temporary folder."""
_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache")
_DEVICES = ("/dev/null", "/dev/urandom")
_PROJECT = Path(__file__).resolve().parents[3]
_INSIDE = Path("tasks/shared/sandbox/inside")
_FOLDER_OF_PROJECT = "/sandbox"


@dataclass(frozen=True)
class Confinement:
    """One way to confine a program."""

    name: str
    command: tuple[str, ...] = ()
    """What the interpreter's own command line is put behind."""
    project: str = str(_PROJECT)
    """Where the project's code is found by the program's first steps."""
    takes_files_away: bool = False
    """Whether those first steps build the root folder, because `command` has not."""
    own_users: bool = False
    """Whether `command` makes a namespace of users that those steps have to close."""
    own_user_id: bool = False
    """Whether the program gets a user of its own: no limit on processes binds root."""
    binds: tuple[str, ...] = field(default=(), repr=False)
    """Files and folders that the program may read: the interpreter and its libraries."""


UNCONFINED = Confinement("nothing")
"""Limits alone."""


def interpreter() -> str:
    """The interpreter that runs in the sandbox: this one's, without its virtual environment."""
    return os.path.realpath(sys.executable)


def readable() -> tuple[str, ...]:
    """What a program in the sandbox may read of the machine."""
    own = (f"{sys.base_prefix}/lib", sysconfig.get_path("stdlib"), interpreter())
    return tuple(path for path in dict.fromkeys((*_LIBRARIES, *own, *_DEVICES)) if os.path.exists(path))


def ways() -> list[Confinement]:
    """Ways that this machine's programs offer, the best first; whether the kernel lets them is another question."""
    found = []
    unshare, bubblewrap = shutil.which("unshare"), shutil.which("bwrap")
    namespaces = ("--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child=KILL")
    if os.geteuid() == 0:
        # Root stays root under bubblewrap, and no limit on processes binds it there.
        if unshare:
            found.append(
                Confinement(
                    "namespaces of root",
                    (unshare, *namespaces),
                    takes_files_away=True,
                    own_user_id=True,
                    binds=readable(),
                )
            )
        return found
    if bubblewrap:
        found.append(Confinement("bubblewrap", _bubblewrap(bubblewrap), project=_FOLDER_OF_PROJECT))
    if unshare:
        command = (unshare, "--user", "--map-root-user", *namespaces)
        found.append(Confinement("namespaces", command, takes_files_away=True, own_users=True, binds=readable()))
    return found


def _bubblewrap(program: str) -> tuple[str, ...]:
    helped = subprocess.run([program, "--help"], capture_output=True, text=True, check=False)
    options = helped.stdout + helped.stderr
    closed = ("--disable-userns",) if "--disable-userns" in options else ()
    command = [program, "--unshare-all", "--unshare-user", *closed, "--die-with-parent", "--new-session", "--clearenv"]
    for path in readable():
        command += ["--dev-bind" if path in _DEVICES else "--ro-bind", path, path]
    command += ["--ro-bind", str(_PROJECT / _INSIDE), f"{_FOLDER_OF_PROJECT}/{_INSIDE}"]
    size = ("--size", DISK_BYTES) if "--size" in options else ()
    return (*command, *size, "--tmpfs", "/tmp", "--remount-ro", "/", "--")
