"""How a command of this project meets Prefect: which server it talks to, and the settings that suit one person."""

import atexit
import contextlib
import fcntl
import logging
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from flows.server.reaching import StartingServer, go_around_proxies
from flows.server.result_storage import choose_result_storage
from tasks.errors import tells_the_user
from tasks.logs import hide_passwords_in_logs
from tasks.spine.process import has_ended, own_identity
from tasks.spine.stage.launch import end_tree
from tasks.spine.store.settings import Settings, sqlite_address
from tasks.spine.tracking.pages import running_servers

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "flows.server.guard:prefect_server"
PROGRAMS = (PROGRAM, "flows.server.guard:mlflow_server")
"""How an argument of a server's process begins."""
PATIENT = {
    "PREFECT_API_DATABASE_TIMEOUT": "60",
    "PREFECT_API_DATABASE_CONNECTION_TIMEOUT": "60",
    "PREFECT_API_REQUEST_TIMEOUT": "180",
    "PREFECT_CLIENT_MAX_RETRIES": "8",
}
"""Prefect's own patience is short for several commands that write to one SQLite database: a request waits 10 s for it,
and is made again 5 times."""
COMMAND = "MIDTRAIN_COMMAND"
"""Environment variable that names the command (process id and start) which a temporary server belongs to."""


def prepare(settings: Settings) -> None:
    """Set Prefect's environment before it is imported, unless the user has chosen a server or profile.

    Without one, runs are kept in SQLite under `MIDTRAIN_HOME`, by the server of `midtrain ui` where it runs and by a
    temporary one otherwise.

    Raises:
        ValueError: nothing can be written under `MIDTRAIN_HOME`.
    """
    _check_home(settings.root)
    go_around_proxies()
    hide_passwords_in_logs()
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("PREFECT_LOGGING_EXTRA_LOGGERS", "flows,tasks")
    # A heartbeat's warning comes from a thread that Prefect knows no flow of; it is printed all the same.
    os.environ.setdefault("PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW", "ignore")
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
    for name, value in PATIENT.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    # Eight processes beside the server, for judges of traces that are set up in its pages; nothing here needs them.
    os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    end_left_servers()
    os.environ[COMMAND] = own_identity()
    choose_result_storage(settings)
    chosen = {"PREFECT_API_URL", "PREFECT_HOME", "PREFECT_PROFILE"} & set(os.environ)
    if chosen:
        return
    home = settings.root / "prefect"
    home.mkdir(parents=True, exist_ok=True)
    os.environ["PREFECT_HOME"] = str(home)
    # Does not follow PREFECT_HOME; shared, it would hand one installation the cached references of another.
    os.environ.setdefault("PREFECT_LOCAL_STORAGE_PATH", str(home / "storage"))
    if {"?", "%"} & set(str(home)):
        # Prefect makes its database's address of that folder as it stands, whatever these mean in an address.
        database = sqlite_address("sqlite+aiosqlite", home / "prefect.db")
        os.environ.setdefault("PREFECT_API_DATABASE_CONNECTION_URL", database)
    url = running_servers(settings.root).get("prefect_api")
    if url is not None:
        os.environ["PREFECT_API_URL"] = url


def _check_home(root: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            pass
    except OSError as error:
        raise ValueError(
            f"MIDTRAIN_HOME={root} cannot be written ({error.strerror}); set MIDTRAIN_HOME to a folder that can"
        ) from error


def server_command(port: int) -> list[str]:
    """The command line of a Prefect server for one person."""
    program = [sys.executable, "-m", "uvicorn", "--app-dir", str(ROOT), "--factory", PROGRAM]
    return [*program, "--host", HOST, "--port", str(port), "--log-level", "error", "--timeout-keep-alive", "5"]


def start_temporary_server(settings: Settings) -> StartingServer | None:
    """A Prefect server for this command, where `prepare` found none to use and the user chose none.

    Prefect would start the same one at the first flow. Started here it comes up while the flows are being imported,
    and this process need not import the server itself. It ends after Prefect has sent its last reports. While another
    command's server is starting on the same database, this waits.
    """
    home = settings.root / "prefect"
    if "PREFECT_API_URL" in os.environ or os.environ.get("PREFECT_HOME") != str(home):
        return None
    turn = (home / "starting.lock").open("w")
    try:
        fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        log.warning("another command starts a server on %s; this one goes on when that answers", home)
        fcntl.flock(turn, fcntl.LOCK_EX)
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = str(probe.getsockname()[1])
    command = server_command(int(port))
    # Said to this process too: what it would link to is not there.
    os.environ["PREFECT_SERVER_UI_ENABLED"] = "false"
    flags = {"PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
    # Appended to: several commands may have a server each.
    with (home / "temporary-server.log").open("a") as output:
        # A session of its own: the Ctrl-C that ends this command must not end its server before the last report.
        server = subprocess.Popen(
            command, env={**os.environ, **flags}, stdout=output, stderr=output, start_new_session=True
        )
    atexit.register(end_tree, server.pid)
    os.environ["PREFECT_API_URL"] = f"http://{HOST}:{port}/api"
    return StartingServer(server, home / "temporary-server.log", turn)


def end_left_servers() -> None:
    """End servers whose command was killed with no chance to end them."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            owner = process.environ().get(COMMAND, "")
            if owner and has_ended(owner) and any(part.startswith(PROGRAMS) for part in process.cmdline()):
                end_tree(process.pid)


@contextmanager
def for_one_person() -> Iterator[None]:
    """Prefect settings of a run from the command line.

    Heartbeats tell a server's automation that a run on some other machine is alive. Here nobody listens, and each
    flow would wait up to a second for its heartbeat thread.

    SIGTERM stays with the command: under Prefect's own handler each level of flows would say what it makes of it.
    """
    import prefect.flow_engine
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    # A filter of the logger survives Prefect's own set-up of its handlers, which comes with the first flow.
    logging.getLogger("prefect.flow_runs").addFilter(_is_news)
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(_is_said_once)
    former = prefect.flow_engine.capture_sigterm
    prefect.flow_engine.capture_sigterm = contextlib.nullcontext
    try:
        with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
            yield
    finally:
        prefect.flow_engine.capture_sigterm = former


def _is_news(record: logging.LogRecord) -> bool:
    """False for the begin and end lines of flow runs: a person wants the stages, and the UI shows flow states."""
    text = record.getMessage()
    return not text.startswith(("Beginning ", "View at ", "Finished in state Completed"))


def _is_said_once(record: logging.LogRecord) -> bool:
    """False for an error that says itself what to mend: it would come once for every level of tasks and flows, and the
    command says it at its end.
    """
    error = record.exc_info[1] if record.exc_info else None
    return not record.getMessage().startswith("Finished in state Failed") and not (error and tells_the_user(error))
