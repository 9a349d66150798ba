"""What a run shares with others (the store, the disk, MLflow) fails or is busy: no harm is done."""

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from flows.stages.rl import rl
from tasks.errors import Permanent
from tasks.spine.stage.launch import end_tree
from tasks.spine.store.settings import Settings
from tasks.spine.store.store import Store
from tests.support.commands import STEP_BY_STEP, gone, pooled, start, start_python, steps_logged, wait_until
from tests.support.homes import Databases, copy_stages
from tests.support.network import free_port, wait_for
from tests.support.small import SMALL, Run, run

pytestmark = pytest.mark.slow


def test_two_runs_at_once_build_every_stage_once_and_agree(tmp_path: Path) -> None:
    home = tmp_path / "home"
    runs = [start(home, "generate", {**SMALL, "runtime.num_threads": 1}) for _ in range(2)]
    assert [command.wait() for command in runs] == [0, 0], runs[0].output + runs[1].output
    made = {line for command in runs for line in command.output.splitlines() if "(this one: samples/" in line}
    assert len(made) == 1
    built = [stage for command in runs for stage in command.stages("built now")]
    assert sorted(built) == sorted(stage for command in runs[:1] for stage in command.stages(".+"))
    manifests = list((home / "store").glob("*/*/????????????.json"))
    assert len(manifests) == len(built) == len(Store.open(Settings(home=home)).all())
    assert len(pooled(home)) == len(set(pooled(home)))
    assert gone(home)


def test_four_runs_at_once_from_the_store_all_end_well(
    finished: Run, small_home: Path, databases: Databases, tmp_path: Path
) -> None:
    """Each has a Prefect server of its own on the one SQLite database, and writes to MLflow's."""
    home = tmp_path / "home"
    databases.copy_to(home)
    copy_stages(small_home, home, *{manifest.stage for manifest in Store.open(Settings(home=small_home)).all()})
    runs = [start(home, "polya", SMALL) for _ in range(4)]
    assert [command.wait() for command in runs] == [0] * 4, "".join(command.output for command in runs)
    for command in runs:
        assert command.stages("built now") == []
        assert f"(this one: {finished.ref})" in command.output
    assert gone(home)


SERVE = """
import os
from flows.server.environment import prepare, start_temporary_server
from flows.server.reaching import wait_for_server
from tasks.spine.store.settings import Settings
prepare(Settings())
starting = start_temporary_server(Settings())
wait_for_server(os.environ["PREFECT_API_URL"], starting, print)
"""


def test_servers_that_start_at_once_on_a_new_database_all_answer(tmp_path: Path) -> None:
    """Each brings the database up to date when it starts; two at the same step would end each other."""
    home = tmp_path / "home"
    commands = [start_python(home, ["-c", SERVE]) for _ in range(4)]
    assert [command.wait() for command in commands] == [0] * 4, "".join(command.output for command in commands)
    assert gone(home)


@pytest.mark.parametrize("place", ["store", "work"])
def test_a_full_disk_stops_the_run_naming_the_place_and_a_rerun_finishes(
    small_disk: Path, in_new_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    home, store = in_new_home, tmp_path / "store"
    if place == "store":
        store = small_disk
    else:
        (home / "work").symlink_to(small_disk)
    overrides = {**SMALL, "runtime.num_threads": 1, "runtime.save_every_steps": 1}
    monkeypatch.setenv("MIDTRAIN_STORE", str(store))
    message = said_by_command(home, store, overrides) if place == "store" else said_by_flow(overrides)
    assert "no space left" in message.lower()
    assert str(small_disk) in message or str(home / "work") in message
    settings = Settings(home=home, store=str(store))
    made = Store.open(settings).all()
    assert "rl" not in {manifest.stage for manifest in made}
    assert gone(home)
    subprocess.run(["mount", "-o", "remount,size=400m", str(small_disk)], check=True)
    assert run(rl, overrides=overrides).built == ["rl"]
    (manifest,) = [found for found in Store.open(settings).all() if found.stage == "rl"]
    assert manifest.rows["steps"] == 2
    if place == "store":
        assert manifest.summary["resumed_from_step"] == 2


def said_by_command(home: Path, store: Path, overrides: dict[str, Any]) -> str:
    """What a command that fails says last."""
    command = start(home, "rl", overrides, MIDTRAIN_STORE=str(store))
    assert command.wait() == 1
    assert "Stopped: " in command.output, command.output
    return command.output[command.output.index("Stopped: ") :].splitlines()[0]


def said_by_flow(overrides: dict[str, Any]) -> str:
    """The error of the flow itself, which a command shows as it is."""
    with pytest.raises(Permanent, match="no space left") as caught:
        run(rl, overrides=overrides)
    return str(caught.value)


@pytest.fixture
def mlflow_server(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """Address and process id of an MLflow server."""
    port = free_port()
    places = ["--backend-store-uri", f"sqlite:///{tmp_path}/m.db", "--artifacts-destination", str(tmp_path / "files")]
    program = Path(sys.executable).with_name("mlflow")
    with (tmp_path / "mlflow.log").open("w") as log:
        command = [str(program), "server", "--port", str(port), "--workers", "1", *places]
        alone = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path, env=alone)
    try:
        wait_for(f"http://127.0.0.1:{port}/health")
        yield f"http://127.0.0.1:{port}", server.pid
    finally:
        end_tree(server.pid)
        server.wait()


def test_an_mlflow_server_that_dies_midway_costs_tracking_and_nothing_else(
    in_new_home: Path,
    mlflow_server: tuple[str, int],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    address, pid = mlflow_server
    monkeypatch.setenv("MIDTRAIN_TRACKING_URI", address)

    def kill() -> None:
        wait_until(lambda: steps_logged(in_new_home, "rl") >= 1)
        server = psutil.Process(pid)
        for process in [server, *server.children(recursive=True)]:
            process.send_signal(signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    with caplog.at_level(logging.WARNING):
        done = run(rl, overrides={**SMALL, **STEP_BY_STEP})
    killer.join()
    assert caplog.text.count("tracking is off for this run") == 1
    store = Store.open()
    made = {manifest.stage: manifest for manifest in store.all()}
    assert set(made) == {"questions", "decontaminate", "model", "rl_prompts", "rl"}
    assert all(manifest.mlflow_run_id for manifest in made.values())
    assert store.manifest(done.ref).parents == {"model": made["model"].ref, "prompts": made["rl_prompts"].ref}
    assert made["rl_prompts"].parents["questions"] == made["decontaminate"].ref
