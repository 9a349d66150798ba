"""What starts a training of several processes: the shipped configurations, own ones, and the launcher's end."""

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils import FullyShardedDataParallelPlugin, patch_environment
from accelerate.utils.launch import prepare_deepspeed_cmd_env, prepare_multi_gpu_env
from pydantic import ValidationError

from tasks.errors import Permanent
from tasks.shared.training import accelerate
from tasks.shared.training.accelerate import AGENT, SHIPPED, launcher
from tasks.spine.stage.launch import WorkerFailed, run_worker
from tasks.spine.store.runtime import Runtime
from tests.support.paths import ROOT
from tests.support.toy_worker import ToyJob

MODULE = "tests.support.toy_worker"


def parsed(distribution: str) -> argparse.Namespace:
    """The command line as `accelerate launch` reads it."""
    given = ["--config_file", str(SHIPPED / f"{distribution}.yaml"), "--num_processes", "2", "--main_process_port", "0"]
    arguments, _, _ = _validate_launch_command(launch_command_parser().parse_args([*given, "-m", "tasks.rl.worker"]))
    return arguments


def two(**settings: Any) -> tuple[str, ...]:
    return launcher(Runtime(num_processes=2, **settings))


def test_one_process_needs_no_launcher() -> None:
    assert launcher(Runtime()) == ()
    assert launcher(Runtime(distribution="fsdp2")) == ()
    with pytest.raises(ValidationError, match="distribution"):
        Runtime(distribution="fsdp3")


def test_several_processes_are_started_on_a_free_port() -> None:
    assert two() == (
        *("-m", AGENT, "--config_file", str(SHIPPED / "ddp.yaml")),
        *("--num_processes", "2", "--main_process_port", "0"),
    )
    assert str(SHIPPED / "fsdp2.yaml") in two(distribution="fsdp2")


@pytest.mark.parametrize("distribution", ["ddp", "fsdp2"])
def test_shipped_configurations_are_read_by_the_launcher(distribution: str) -> None:
    arguments = parsed(distribution)
    assert arguments.num_processes == 2
    assert arguments.mixed_precision == "no"
    environment = prepare_multi_gpu_env(arguments)
    assert ("ACCELERATE_USE_FSDP" in environment) == (distribution == "fsdp2")
    if distribution == "fsdp2":
        with patch_environment(**environment):
            plugin = FullyShardedDataParallelPlugin()
        assert plugin.fsdp_version == 2
        assert plugin.reshard_after_forward is True
        assert plugin.state_dict_type.name == "SHARDED_STATE_DICT"
        assert not plugin.cpu_ram_efficient_loading
        assert not plugin.activation_checkpointing


@pytest.mark.parametrize("stage", [2, 3])
def test_deepspeed_configurations_are_read_by_the_launcher(stage: int) -> None:
    """As far as that goes without DeepSpeed: up to the environment that its processes get."""
    arguments = parsed(f"deepspeed-zero{stage}")
    assert arguments.use_deepspeed
    arguments.deepspeed_fields_from_accelerate_config = "zero_stage"
    _, environment = prepare_deepspeed_cmd_env(arguments)
    assert environment["ACCELERATE_USE_DEEPSPEED"] == "true"
    assert environment["ACCELERATE_DEEPSPEED_ZERO_STAGE"] == str(stage)
    assert environment["ACCELERATE_DEEPSPEED_ZERO3_INIT"] == "false"
    if stage == 3:
        assert environment["ACCELERATE_DEEPSPEED_ZERO3_SAVE_16BIT_MODEL"] == "true"


@pytest.mark.parametrize("own", [False, True])
def test_without_deepspeed_the_error_names_the_fix(own: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerate.importlib.util, "find_spec", lambda _: None)
    config = tmp_path / "own.yaml"
    config.write_text("distributed_type: DEEPSPEED\n")
    settings = {"accelerate_config": str(config)} if own else {"distribution": "deepspeed-zero3"}
    [(name, value)] = settings.items()
    with pytest.raises(Permanent, match=rf"runtime.{name}={value} needs .*pip install deepspeed.*distribution=fsdp2"):
        two(**settings)


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "does not exist"), ("a: [", "is not YAML"), ("num_processes: 2", "has no distributed_type")],
)
def test_an_own_configuration_that_cannot_be_used_is_refused(text: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(Permanent, match=rf"runtime.accelerate_config={path} {message}"):
        launcher(Runtime(accelerate_config=str(path)))


def test_an_own_configuration_keeps_its_machines_and_processes(tmp_path: Path) -> None:
    own = yaml.safe_load((SHIPPED / "fsdp2.yaml").read_text())
    own |= {"num_machines": 2, "machine_rank": 1, "main_process_ip": "10.0.0.1", "main_process_port": 29400}
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump({**own, "num_processes": 16}))
    assert launcher(Runtime(accelerate_config=str(path))) == ("-m", AGENT, "--config_file", str(path))
    assert launcher(Runtime(accelerate_config=str(path), num_processes=8))[-2:] == ("--num_processes", "8")


@pytest.mark.slow
def test_only_the_main_process_reports(tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []
    result = run_worker(MODULE, ToyJob(), tmp_path, timeout_s=300, on_metrics=seen.append, prefix=two())
    assert result == {"steps": 3}
    assert [line["step"] for line in seen] == [1, 2, 3]


@pytest.mark.slow
def test_what_fails_in_another_process_is_the_workers_error(tmp_path: Path) -> None:
    """The main process sleeps; the launcher ends it."""
    with pytest.raises(Permanent, match="the second process cannot go on"):
        run_worker(MODULE, ToyJob(mode="second-fails"), tmp_path, timeout_s=300, prefix=two())


@pytest.mark.slow
def test_a_process_that_aborts_at_its_end_takes_no_result_from_the_main_one(tmp_path: Path) -> None:
    """The main process is still at work, as when it writes a large model."""
    result = run_worker(MODULE, ToyJob(mode="second-aborts"), tmp_path, timeout_s=300, prefix=two())
    assert result == {"steps": 3}


@pytest.mark.slow
def test_a_killed_process_ends_the_others_and_what_they_started(tmp_path: Path) -> None:
    with pytest.raises(WorkerFailed, match=r"exit code 137(.|\n)*last words of the worker"):
        run_worker(MODULE, ToyJob(mode="killed"), tmp_path, timeout_s=300, prefix=two())
    assert marked(tmp_path) == []


@pytest.mark.slow
def test_kill_9_of_the_parent_leaves_no_process(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from tasks.spine.stage.launch import run_worker;"
        "from tests.support.toy_worker import ToyJob;"
        f"run_worker({MODULE!r}, ToyJob(mode='hang'), Path({str(tmp_path)!r}), timeout_s=300, prefix={two()!r})"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen([sys.executable, "-c", code], env=environment)
    wait_until(lambda: (tmp_path / "metrics.jsonl").exists(), 120)
    assert len(marked(tmp_path)) >= 3  # the launcher and two processes
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_until(lambda: marked(tmp_path) == [], 60)


def marked(work_dir: Path) -> list[psutil.Process]:
    """Processes that were started for this folder."""
    found = psutil.process_iter(["cmdline", "status"])
    return [
        each
        for each in found
        if str(work_dir) in (each.info["cmdline"] or []) and each.info["status"] != psutil.STATUS_ZOMBIE
    ]


def wait_until(condition: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)
