"""The sandbox that this machine offers; refused where it offers none."""

from functools import cache

from tasks.errors import Permanent
from tasks.shared.sandbox.config import SandboxConfig
from tasks.shared.sandbox.confinement import Confinement, ways
from tasks.shared.sandbox.process import SandboxedProcess

REMEDY = (
    "install bubblewrap (`apt-get install bubblewrap`) and allow unprivileged user namespaces, or run as root with "
    "CAP_SYS_ADMIN (in Docker: `--cap-add SYS_ADMIN --security-opt apparmor=unconfined`); on a machine that is "
    "thrown away afterwards, runtime.allow_unsandboxed_code=true runs such code without a sandbox"
)


class SandboxUnavailable(Permanent):
    """This machine offers no sandbox; the message says what would."""


@cache
def confinement() -> Confinement:
    """The best way to confine a program that works here; each is tried once.

    Raises:
        SandboxUnavailable: none does.
    """
    failures = []
    for way in ways():
        failure = _failure(way)
        if not failure:
            return way
        failures.append(f"{way.name}: {failure}")
    tried = "; ".join(failures) or "neither bubblewrap nor unshare is installed"
    raise SandboxUnavailable(
        f"code that a model wrote is not run without a sandbox, and there is none here ({tried}); {REMEDY}"
    )


def _failure(way: Confinement) -> str:
    """Why a way to confine does not work on this machine; empty where it does."""
    try:
        with SandboxedProcess("probe", way, SandboxConfig()) as process:
            status = process.wait()
            reached = status == 0 and process.output().strip() == "inside"
            return "" if reached else (process.errors().strip().splitlines() or [f"exit status {status}"])[-1]
    except OSError as error:
        return str(error)
