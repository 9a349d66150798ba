"""First program inside new namespaces: it takes the machine's files away, sets limits and starts the program proper.

It stays the parent of that program, which runs as another user or without the parent's capabilities and so can neither
stop nor trace it, and passes its exit status on. When the parent ends, the kernel ends everything in its namespace.
"""

import ctypes
import importlib
import json
import os
import resource
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

OUT_OF_TIME = 124
"""Exit status of a program that was ended by the clock."""
_MIB = 1 << 20
_MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC, _MNT_DETACH = 2, 4, 4096, 16384, 2
_SYS_MOUNT_SETATTR, _AT_RECURSIVE, _ATTR_RDONLY_NOSUID = 442, 0x8000, 1 | 2
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 24, 38, 47, 4
_CAPABILITY_VERSION_3 = 0x20080522
_LAST_CAPABILITY = 63


def main() -> None:
    """Enter the sandbox that the first argument describes, as JSON, and run its program there."""
    settings = json.loads(sys.argv[1])
    # Loaded before the project's own files are out of reach.
    program = importlib.import_module(f"tasks.shared.sandbox.inside.{settings['program']}")
    libc = ctypes.CDLL(None, use_errno=True)
    if settings["own_users"]:
        # No further namespace, in which the program would have every capability again.
        Path("/proc/sys/user/max_user_namespaces").write_text("0")
    if settings["root"]:
        _take_files_away(libc, settings["root"], settings["read_only"], settings["disk_mb"])
    child = os.fork()
    if child:
        _see_to_its_end(child, settings["wall_s"])
    _limit(settings)
    _give_up_rights(libc, settings["user_id"])
    os.chdir(settings["folder"])
    program.main(*settings["arguments"])
    os._exit(0)


def _see_to_its_end(child: int, wall_s: int) -> None:
    def end(number: int, frame: FrameType | None) -> None:
        os.kill(child, signal.SIGKILL)
        os._exit(OUT_OF_TIME)

    signal.signal(signal.SIGALRM, end)
    signal.alarm(wall_s)
    _, status = os.waitpid(child, 0)
    os._exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))


def _limit(settings: dict[str, Any]) -> None:
    limits = {
        resource.RLIMIT_CPU: settings["cpu_s"],
        resource.RLIMIT_AS: settings["memory_mb"] * _MIB,
        resource.RLIMIT_FSIZE: settings["disk_mb"] * _MIB,
        resource.RLIMIT_NPROC: settings["max_processes"],
        resource.RLIMIT_NOFILE: 64,
        resource.RLIMIT_CORE: 0,
    }
    for limit, value in limits.items():
        # The second bound ends what ignores the first one's signal.
        resource.setrlimit(limit, (value, value + 1 if limit == resource.RLIMIT_CPU else value))


def _take_files_away(libc: ctypes.CDLL, root: str, read_only: Sequence[str], disk_mb: int) -> None:
    """Make a root of its own at `root`: an empty folder in memory, the interpreter read-only, and /tmp."""
    flags = _MS_NOSUID | _MS_NODEV
    _mount(libc, "tmpfs", root, "tmpfs", flags, "size=1m,mode=755")
    for path in map(Path, read_only):
        target = Path(root + str(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            target.mkdir(exist_ok=True)
        else:
            target.touch()
        _mount(libc, str(path), str(target), "", _MS_BIND | _MS_REC, "")
    attributes = (ctypes.c_uint64 * 4)(_ATTR_RDONLY_NOSUID, 0, 0, 0)
    temporary = Path(root) / "tmp"
    temporary.mkdir()
    call = libc.syscall(_SYS_MOUNT_SETATTR, -100, os.fsencode(root), _AT_RECURSIVE, attributes, 32)
    _check(call, "mount_setattr")
    _mount(libc, "tmpfs", str(temporary), "tmpfs", flags, f"size={disk_mb}m,mode=1777")
    os.chdir(root)
    _check(libc.pivot_root(b".", b"."), "pivot_root")
    _check(libc.umount2(b".", _MNT_DETACH), "umount2")
    os.chdir("/")


def _give_up_rights(libc: ctypes.CDLL, user_id: int) -> None:
    """Become `user_id`, where that is not 0, and drop every capability for good."""
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for capability in range(_LAST_CAPABILITY + 1):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    if user_id:
        os.setgroups([])
        os.setresgid(user_id, user_id, user_id)
        os.setresuid(user_id, user_id, user_id)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    _check(libc.capset(header, (ctypes.c_uint32 * 6)()), "capset")


def _mount(libc: ctypes.CDLL, source: str, target: str, kind: str, flags: int, options: str) -> None:
    names = (os.fsencode(text) for text in (source, target, kind))
    _check(libc.mount(*names, ctypes.c_ulong(flags), os.fsencode(options)), f"mount of {target}")


def _check(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
