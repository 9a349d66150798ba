"""The install steps of the images without a GPU, run as they stand in a clean folder instead of an image."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docker.dockerfile import DOCKERFILES, ROOT, copied, lineage

CONTROL = next(path for path in DOCKERFILES if path.name.startswith("control"))
DEFAULT_INDEX = "https://pypi.org/simple"
"""In place of PyTorch's own index, so that one index is enough to run the tests."""


def run_stage(name: str, folder: Path) -> None:
    """Do what a build of this stage would, with `/opt` in `folder` and this Python as the image's."""

    def moved(text: str) -> str:
        return text.replace("/opt/", f"{folder}/opt/")

    here = folder
    # What belongs to the environment of the tests must not help.
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment["PATH"] = f"{tools(folder)}{os.pathsep}{environment['PATH']}"
    for stage in lineage(CONTROL, name):
        environment |= {key: moved(value) for key, value in stage.environment().items()}
        for step in stage.steps:
            if step.name == "WORKDIR":
                here = Path(moved(step.text))
                here.mkdir(parents=True, exist_ok=True)
            elif step.name == "ARG":
                environment[step.text.partition("=")[0]] = DEFAULT_INDEX
            elif step.name == "COPY":
                for source in copied(step.text)[1]:
                    shutil.copy(ROOT / source, here)
            elif step.name == "RUN":
                subprocess.run(["/bin/sh", "-c", moved(step.text)], cwd=here, env=environment, check=True)


def tools(folder: Path) -> Path:
    """A folder with `python` and `pip`, as the base image has them on its path."""
    subprocess.run([sys.executable, "-m", "venv", folder / "base"], check=True)
    return folder / "base" / "bin"


def installed(python: Path) -> dict[str, str]:
    listing = "import importlib.metadata as m\nfor d in m.distributions(): print(d.name + '==' + d.version)"
    output = subprocess.run([python, "-c", listing], capture_output=True, text=True, check=True, cwd="/").stdout
    return dict(line.split("==") for line in output.splitlines())


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def constraints() -> dict[str, str]:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line]
    return {canonical(line.split("==")[0]): line.split("==")[1] for line in lines}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "programs"),
    [
        (
            "build-servers",
            [["prefect", "--version"], ["mlflow", "--version"], ["python", "-c", "import psycopg2, boto3"]],
        ),
        ("build-control", [["prefect", "--version"], ["midtrain", "--help"], ["python", "-c", "import torch, trl"]]),
    ],
)
def test_install_steps_give_the_pinned_set_and_no_installer(
    stage: str, programs: list[list[str]], tmp_path: Path
) -> None:
    run_stage(stage, tmp_path)
    bin_ = tmp_path / "opt" / "venv" / "bin"
    for source in ("flows", "tasks", "deployments") if stage == "build-control" else ():
        shutil.copytree(ROOT / source, tmp_path / "opt" / "midtrain" / source, dirs_exist_ok=True)

    for program, *arguments in programs:
        subprocess.run([bin_ / program, *arguments], check=True, cwd=tmp_path, stdout=subprocess.DEVNULL)

    pins = constraints()
    found = {canonical(name): version.partition("+")[0] for name, version in installed(bin_ / "python").items()}
    assert "pip" not in found
    assert {name: version for name, version in found.items() if name != "midtrain"} == {
        name: pins.get(name) for name in found if name != "midtrain"
    }
