"""Code that tries to get out of the sandbox, to outlive it, or to pass without solving anything."""

import socket
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tasks.shared.sandbox.config import SandboxConfig
from tasks.shared.sandbox.pool import CodePool

from .conftest import Judged

SQUARE = "def f(x):\n    return x * x\n"

FORGERIES = {
    "exits": "import sys\nsys.exit(0)",
    "exits at once": "import os\nos._exit(0)",
    "exits when called": "import os\ndef f(x):\n    print('all tests passed', flush=True)\n    os._exit(0)",
    "prints that all passed": "print('all tests passed')\nprint('[\"correct\", \"tests: all passed\"]')",
    "equals everything": """
        class Yes(int):
            __eq__ = __ne__ = lambda self, other: True
            __hash__ = int.__hash__
        def f(x):
            return Yes()""",
    "is an object that equals everything": """
        class Yes:
            __eq__ = lambda self, other: True
        def f(x):
            return Yes()""",
    "replaces what tests use": """
        import builtins
        builtins.AssertionError = builtins.Exception = builtins.print = type('Nothing', (), {})
        builtins.isinstance = builtins.abs = lambda *a: True
        def f(x):
            return 0""",
    "leaves something for the end": """
        import atexit, os
        atexit.register(os._exit, 0)
        def f(x):
            raise SystemExit(0)""",
    "looks for the tests in frames and in what lives": """
        import gc, inspect
        def f(x):
            for frame in inspect.stack():
                for text in (str(frame.frame.f_locals), str(frame.frame.f_globals)):
                    if 'asse' 'rt f' in text:
                        return 9
            if any(isinstance(item, str) and 'asse' 'rt f(' in item for item in gc.get_objects()):
                return 9""",
    "looks for the tests in what it was given": """
        import os, sys
        def f(x):
            for number in range(64):
                try:
                    os.lseek(number, 0, 0)
                    if b'asse' b'rt f' in os.read(number, 100000):
                        return 9
                except OSError:
                    pass
            return 9 if 'asse' 'rt f' in str(sys.argv) + str(sys.orig_argv) + str(os.environ) else None""",
    "writes the judge's report wherever it can": """
        import os
        def f(x):
            for number in range(64):
                for text in (b'["correct", "tests: all passed"]', b'{"value": {"forged": true}}\\n'):
                    try:
                        os.write(number, text)
                    except OSError:
                        pass
            os._exit(0)""",
    "fills the connection": "import os\nfor number in range(3, 64):\n    try:\n        os.write(number, b'x' * 999)\n"
    "    except OSError:\n        pass\ndef f(x):\n    return 0",
}


@pytest.mark.parametrize("code", FORGERIES.values(), ids=FORGERIES)
def test_no_code_passes_but_by_what_it_returns(judged: Judged, code: str) -> None:
    assert judged(textwrap.dedent(code)).verdict == "wrong"


def test_code_that_solves_the_task_passes(judged: Judged) -> None:
    verdict = judged(SQUARE)
    assert (verdict.verdict, verdict.extracted) == ("correct", SQUARE + "\n")
    assert judged("def f(x):\n    return 3 * x + 1").verdict == "wrong"


def test_it_can_start_no_process_and_no_thread(judged: Judged) -> None:
    for start in ("os.fork()", "threading.Thread(target=print).start()"):
        code = f"import os, threading\ndef f(x):\n    try:\n        {start}\n    except (OSError, RuntimeError):\n"
        assert judged(code + "        return 9").verdict == "correct"


def test_a_fork_bomb_ends_and_leaves_nothing(judged: Judged) -> None:
    bomb = "import os\ndef f(x):\n  while True:\n    try:\n      os.fork()\n    except OSError:\n      pass"
    with CodePool(config=SandboxConfig(cpu_s=1, wall_s=2, max_processes=21)) as pool:
        assert judged(bomb, on=pool).verdict == "timeout"
    end = time.monotonic() + 20
    while (left := [line for line in commands() if '"max_processes": 21' in line]) and time.monotonic() < end:
        time.sleep(0.05)
    assert left == []


def commands() -> Iterator[str]:
    """Command lines of all processes."""
    for process in psutil.process_iter():
        try:
            yield " ".join(process.cmdline())
        except psutil.Error:
            continue


def test_ten_gigabytes_are_refused(judged: Judged) -> None:
    verdict = judged("def f(x):\n    return len(bytearray(10 << 30))")
    assert verdict.verdict == "wrong"
    assert "MemoryError" in verdict.detail


def test_it_sees_the_interpreter_and_an_empty_folder_and_nothing_else(
    judged: Judged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the home, nor other temporary files, nor the project, nor what the environment holds."""
    secret = tmp_path / "secret"
    secret.write_text("secret")
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    homely = [str(path) for path in Path.home().iterdir() if path.name not in Path(sys.base_prefix).parts]
    places = [str(secret), "/etc/passwd", "/proc/self/status", __file__, *homely]
    code = f"""
        import os
        def f(x):
            os.chdir('/')
            seen = [path for path in {places!r} if os.path.exists(path)]
            return [seen, os.listdir('/tmp'), os.environ.get('OPENAI_API_KEY')]"""
    verdict = judged(textwrap.dedent(code), "assert f(3) == [[], [], None], f(3)")
    assert verdict.verdict == "correct", verdict.detail


def test_it_can_write_nowhere_but_in_its_own_folder_and_little_there(judged: Judged) -> None:
    code = """
        import os, sys
        def f(x):
            refused = []
            for path in ('/x', os.__file__, os.path.dirname(os.__file__) + '/x', '/usr/lib/x', sys.executable):
                try:
                    open(path, 'a')
                except OSError:
                    refused.append(path)
            written = 0
            try:
                for number in range(100):
                    with open(f'/tmp/{number}', 'wb') as file:
                        written += file.write(bytes(1 << 20))
            except OSError:
                pass
            return [len(refused), 8 < written >> 20 < 20]"""
    verdict = judged(textwrap.dedent(code), "assert f(3) == [5, True], f(3)")
    assert verdict.verdict == "correct", verdict.detail


def test_it_reaches_no_socket_outside(judged: Judged) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        port = server.getsockname()[1]
        code = f"import socket\ndef f(x):\n    return socket.create_connection(('127.0.0.1', {port}), 5) and 9"
        assert judged(code).verdict == "wrong"
        with pytest.raises(TimeoutError):
            server.accept()


def test_it_can_kill_nobody(judged: Judged) -> None:
    for target in ("os.getppid()", "1", "-1"):
        code = f"import os, signal\ndef f(x):\n    os.kill({target}, signal.SIGKILL)\n    return x * x"
        judged(code)
    assert judged(SQUARE).verdict == "correct"


def test_printing_for_ever_ends_with_the_cpu_time(judged: Judged) -> None:
    assert judged("def f(x):\n    while True:\n        print('x' * 1000)").verdict == "timeout"


def test_it_regains_no_rights(judged: Judged) -> None:
    code = """
        import ctypes, os
        def f(x):
            libc = ctypes.CDLL(None)
            mounted = libc.mount(b'none', b'/tmp', b'tmpfs', 0, None)
            try:
                os.chroot('/tmp')
            except PermissionError:
                return mounted and 9"""
    verdict = judged(textwrap.dedent(code), "assert f(3), f(3)")
    assert verdict.verdict == "correct", verdict.detail


def test_what_sleeps_is_ended_by_the_clock(judged: Judged) -> None:
    with CodePool(config=SandboxConfig(wall_s=1)) as pool:
        began = time.monotonic()
        assert judged("import time\ndef f(x):\n    time.sleep(1000)", on=pool).verdict == "timeout"
    assert time.monotonic() - began < 60
