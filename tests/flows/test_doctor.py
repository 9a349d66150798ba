"""The doctor: a line for everything it looks at, a remedy for what is wrong, and a run of every kind of work."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows.cli.app import app
from flows.doctor.building import Meter
from flows.doctor.finding import Unfit
from flows.doctor.host import disk
from flows.doctor.sizes import ON_GPU
from tasks.estimates.memory import require_fit
from tasks.recipe.base import Recipe
from tasks.recipe.loading import load
from tasks.shared.costs.devices import device_named
from tasks.spine.stage import gpus
from tests.support.network import free_port
from tests.support.paths import TINY_MODEL

LOOKED_AT = [
    "Python", "disk", "ports", "compiler", "hub token", "driver", "CUDA", "GPU memory", "store", "Prefect", "MLflow",
]  # fmt: skip
SMOKE = ["generation", "SFT packed", "SFT by length", "kill and resume", "FSDP2", "GRPO", "RMT", "time"]
DRIVER = """#!/bin/sh
case "$1" in
    --list-gpus) echo 'GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-1)' ;;
    *) echo 'NVIDIA H100 80GB HBM3, {version}, 81559, {free_mib}' ;;
esac
"""
"""What stands in for the driver's tool."""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MIDTRAIN_HOME", str(tmp_path / "home"))
    for name in ("PREFECT_API_URL", "MIDTRAIN_TRACKING_URI", "MLFLOW_TRACKING_URI", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    gpus._listed_by_driver.cache_clear()
    return tmp_path / "home"


def examined(*options: str) -> tuple[dict[str, dict[str, Any]], int]:
    """Findings by name, and the exit code."""
    done = CliRunner().invoke(app, ["doctor", "--json", *options])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return {finding["name"]: finding for finding in json.loads(done.stdout)}, done.exit_code


def driver(folder: Path, monkeypatch: pytest.MonkeyPatch, version: str, free_mib: int) -> None:
    """A machine whose driver says so."""
    folder.mkdir()
    (folder / "nvidia-smi").write_text(DRIVER.format(version=version, free_mib=free_mib))
    (folder / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_what_is_wrong_fails_the_command_and_comes_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_swordfish")
    monkeypatch.setenv("PREFECT_API_URL", f"http://me:secret@127.0.0.1:{free_port()}/api")
    monkeypatch.setenv("PATH", "/nowhere")
    found, code = examined()
    assert (list(found), code) == (LOOKED_AT, 1)
    assert {name for name, finding in found.items() if finding["verdict"] == "FAIL"} >= {"compiler", "Prefect"}
    assert "gcc and g++ not on PATH" in found["compiler"]["detail"]
    assert "apt-get install g++" in found["compiler"]["remedy"]
    assert "unset PREFECT_API_URL" in found["Prefect"]["remedy"]
    assert (found["hub token"]["verdict"], found["hub token"]["detail"]) == ("ok", "present")
    assert found["GPU memory"]["detail"] == "no GPU of NVIDIA; stages run on the CPU"
    assert found["store"]["verdict"] == "ok"
    lines = CliRunner().invoke(app, ["doctor"]).output
    assert "FAIL    compiler" in lines
    assert "-> install them" in lines
    assert not any(secret in lines + json.dumps(found) for secret in ("swordfish", "secret"))


def test_looking_at_the_store_leaves_nothing_in_it(home: Path) -> None:
    examined()
    assert [path for path in home.rglob("*") if path.is_file()] == []


def test_an_old_driver_and_a_torch_without_cuda_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver(tmp_path / "old", monkeypatch, "535.104.05", 80_000)
    found, code = examined()
    assert code == 1
    assert "older than 580" in found["driver"]["detail"]
    assert {found[name]["detail"] for name in ("CUDA", "GPU memory")} == {"needs the driver"}
    driver(tmp_path / "new", monkeypatch, "580.65.06", 60_000)
    found, code = examined()
    assert code == 1
    assert found["driver"]["detail"] == "580.65.06, NVIDIA H100 80GB HBM3"
    assert "make EXTRA=gpu" in found["CUDA"]["remedy"]
    assert "58.6 of 79.6 GiB free on GPU 0" in found["GPU memory"]["detail"]
    assert "lower runtime.gpu_memory_utilization" in found["GPU memory"]["remedy"]


def test_a_disk_that_is_almost_full_is_named(small_disk: Path) -> None:
    with pytest.raises(Unfit, match=r"0\.0 GB free in") as caught:
        disk(small_disk / "not" / "there" / "yet")
    assert "midtrain gc" in caught.value.remedy


def test_what_the_smoke_run_does_on_a_gpu_fits_on_one_of_24_gb(tmp_path: Path) -> None:
    config = json.loads((TINY_MODEL / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, **ON_GPU.shape}))
    recipes = [("tiny-cpu", ON_GPU.polya()), ("tiny-cpu-rmt", ON_GPU.rmt())]
    recipes.append(("tiny-cpu", ON_GPU.polya() | {"model.source": str(tmp_path)}))
    for name, overrides in recipes:
        settings = load(Recipe, name, overrides)
        require_fit(settings, device_named("rtx-4090"))
        assert {settings.rl.dtype, settings.runtime.dtype} == {"bfloat16"}


def test_rollouts_that_part_from_the_trainer_fail_their_line_and_so_do_those_of_another_engine_on_a_gpu() -> None:
    steps = [{"sampler_gap": gap, "zero_advantage_group_share": 0.5} for gap in (0.01, 0.03)]
    assert Meter(steps=steps).largest_gap(on_gpu=True) == {"sampler_gap": 0.03}
    with pytest.raises(RuntimeError, match=r"sampler_gap 2\.500 is above 0\.2: trained weights may not reach vLLM"):
        Meter(steps=[*steps, {"sampler_gap": 2.5}]).largest_gap(on_gpu=True)
    unseen = [{"zero_advantage_group_share": share} for share in (1.0, 0.75)]
    with pytest.raises(RuntimeError, match="not written by vLLM"):
        Meter(steps=unseen).largest_gap(on_gpu=True)
    assert Meter(steps=unseen).largest_gap(on_gpu=False) == Meter(steps=unseen[:1]).largest_gap(on_gpu=True) == {}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_smoke_run_does_every_kind_of_work(home: Path) -> None:
    found, code = examined("--smoke")
    assert list(found) == [*LOOKED_AT, *SMOKE]
    wrong = {name: finding for name, finding in found.items() if name in SMOKE and finding["verdict"] != "ok"}
    assert set(wrong) == {"FSDP2"}, wrong
    assert wrong["FSDP2"]["verdict"] == "skipped"
    assert "the same weights to the bit" in found["kill and resume"]["detail"]
    assert found["kill and resume"]["numbers"]["resumed_from_step"] >= 5
    assert {"tokens_per_s", "mfu", "peak_gib"} <= set(found["SFT packed"]["numbers"])
    assert found["GRPO"]["numbers"]["rollouts"] == 2 * 4 * 8
    assert found["RMT"]["numbers"]["rollouts"] == 3 * 4 * 4
    assert not (home / "doctor").exists()
    assert code == any(finding["verdict"] == "FAIL" for finding in found.values())
