"""The warm process: loads the algebra system once, then forks a grader, in milliseconds, whenever one is asked for.

``python -m tasks.shared.verification.child CONFIG_JSON MEMORY_MB PARENT_PID`` with a Unix socket as standard input.
The owner sends orders and gets news (`protocol`). This is a process of its own because its owner may hold threads,
locks or an accelerator, none of which survive a fork; it has a single thread and imports neither torch nor prefect. It
ends with its owner, however that ends, and its graders end with it.
"""

import gc
import mmap
import os
import resource
import select
import signal
import socket
import sys
import traceback

from tasks.shared.verification.protocol import AT_HAND, ENDED, KILL, NEWS, ORDER, STARTED
from tasks.spine.stage.worker import die_with_parent

_LOOK_AT_OWNER_MS = 1_000
"""How often the owner is looked for: a process that it forked may keep this socket open after its death."""


def main() -> None:
    """Load everything, then serve orders until the owner is gone."""
    config_json, memory_mb, owner = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    orders = socket.socket(fileno=os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    # What a library prints must reach nobody's protocol.
    os.dup2(2, 1)
    # A terminal's Ctrl-C reaches the whole process group; the owner decides when its graders end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    limit = memory_mb * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    graders = _Graders(config_json)
    # Nothing that is loaded by now is garbage: the graders share these pages for as long as nobody touches them.
    gc.collect()
    gc.freeze()
    graders.until_gone(owner, orders)


class _Graders:
    """The graders of one owner, by process id and by the owner's numbers."""

    def __init__(self, config_json: str) -> None:
        from tasks.shared.verification import grader
        from tasks.shared.verification.config import VerificationConfig

        self._serve = grader.serve
        self._config = VerificationConfig.model_validate_json(config_json)
        self._numbers: dict[int, int] = {}
        grader.warm_up(self._config)

    def until_gone(self, owner: int, orders: socket.socket) -> None:
        """Serve orders and report endings; kill what is left when the owner is gone."""
        wake, waker = socket.socketpair()
        waker.setblocking(False)
        wake.setblocking(False)
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        poll = select.poll()
        poll.register(orders, select.POLLIN)
        poll.register(wake, select.POLLIN)
        try:
            while os.getppid() == owner:
                events = dict(poll.poll(_LOOK_AT_OWNER_MS))
                if wake.fileno() in events:
                    wake.recv(4096)
                self._report_endings(orders)
                if orders.fileno() in events and not self._obey(orders):
                    return
        except (BrokenPipeError, ConnectionResetError):
            return
        finally:
            for pid in self._numbers:
                os.kill(pid, signal.SIGKILL)
            for pid in self._numbers:
                os.waitpid(pid, 0)

    def _obey(self, orders: socket.socket) -> bool:
        data, descriptors, _, _ = socket.recv_fds(orders, ORDER.size, 2)
        if len(data) < ORDER.size:
            return False
        order, number = ORDER.unpack(data)
        if order == KILL:
            for pid in [pid for pid, known in self._numbers.items() if known == number]:
                os.kill(pid, signal.SIGKILL)
            return True
        requests = socket.socket(fileno=descriptors[0])
        at_hand = mmap.mmap(descriptors[1], AT_HAND.size)
        os.close(descriptors[1])
        mother = os.getpid()
        pid = os.fork()
        if pid == 0:
            orders.close()
            self._become_grader(requests, at_hand, mother)
        requests.close()
        at_hand.close()
        self._numbers[pid] = number
        orders.sendall(NEWS.pack(STARTED, number, pid))
        return True

    def _become_grader(self, requests: socket.socket, at_hand: mmap.mmap, mother: int) -> None:
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            die_with_parent(signal.SIGKILL)
            if os.getppid() == mother:
                self._serve(requests, at_hand, self._config)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def _report_endings(self, orders: socket.socket) -> None:
        while self._numbers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            number = self._numbers.pop(pid)
            orders.sendall(NEWS.pack(ENDED, number, os.waitstatus_to_exitcode(status)))


if __name__ == "__main__":
    main()
