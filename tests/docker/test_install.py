"""The install steps of the images, run in a clean folder; all of the servers, and the project's own."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docker.dockerfile import ROOT
from tests.docker.install import run_stage

CONTROL = ROOT / "docker" / "control.Dockerfile"
GPU = ROOT / "docker" / "gpu.Dockerfile"
SERVERS = [["prefect", "--version"], ["mlflow", "--version"], ["python", "-c", "import asyncpg, boto3, psycopg2"]]


def installed(python: Path) -> dict[str, str]:
    listing = "import importlib.metadata as m\nfor d in m.distributions(): print(d.name + '==' + d.version)"
    output = subprocess.run([python, "-c", listing], capture_output=True, text=True, check=True, cwd="/").stdout
    return {canonical(name): version for name, version in (line.split("==") for line in output.splitlines())}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def constraints() -> dict[str, str]:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line]
    return {canonical(line.split("==")[0]): line.split("==")[1] for line in lines}


@pytest.mark.slow
def test_the_servers_get_the_pinned_set_and_no_installer(tmp_path: Path) -> None:
    run_stage(CONTROL, "build-servers", tmp_path)
    programs = tmp_path / "opt" / "venv" / "bin"
    for program, *arguments in SERVERS:
        subprocess.run([programs / program, *arguments], check=True, cwd=tmp_path, stdout=subprocess.DEVNULL)
    pins, found = constraints(), installed(programs / "python")
    assert "pip" not in found
    assert found == {name: pins.get(name) for name in found}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "stage", "heavy"), [(CONTROL, "build-control", "TORCH_INDEX"), (GPU, "build", "pip install torch")]
)
def test_the_installed_command_finds_sources_that_are_copied_later(
    path: Path, stage: str, heavy: str, tmp_path: Path
) -> None:
    run_stage(
        path, stage, tmp_path, lambda text: "true" if heavy in text else text.replace("install", "install --no-deps")
    )
    project, programs = tmp_path / "opt" / "midtrain", tmp_path / "opt" / "venv" / "bin"
    for source in ("flows", "tasks"):
        shutil.copytree(ROOT / source, project / source, dirs_exist_ok=True)

    names = ["flows.cli.app", "tasks.spine.stage.launch"]
    where = f"import importlib.util as u; print(*(u.find_spec(name).origin for name in {names}))"
    found = subprocess.run([programs / "python", "-c", where], capture_output=True, text=True, check=True, cwd="/")
    assert found.stdout.split() == [str(project / name.replace(".", "/")) + ".py" for name in names]
    assert "from flows.cli.app import app" in (programs / "midtrain").read_text()
    assert set(installed(programs / "python")) == {"midtrain"}
