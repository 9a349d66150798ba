"""The install steps of the images, run in a clean folder: all of the servers, and the project's own."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

SERVERS = [["prefect", "--version"], ["mlflow", "--version"], ["python", "-c", "import asyncpg, boto3, psycopg2"]]


class Image:
    """A folder in place of an image, with the files that every build copies first and this Python as the image's."""

    def __init__(self, folder: Path) -> None:
        self.project, self.programs = folder / "midtrain", folder / "venv" / "bin"
        (self.project / "docker").mkdir(parents=True)
        for name in ("constraints.txt", "docker/install.sh", "pyproject.toml", "README.md"):
            shutil.copy(ROOT / name, self.project / name)
        # The base image has `python` and `pip` on its path.
        subprocess.run([sys.executable, "-m", "venv", folder / "base"], check=True)
        # What belongs to the environment of the caller must not help.
        self._environment = {
            **{name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")},
            "PATH": f"{folder / 'base' / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "VENV": str(folder / "venv"),
        }
        self.install("environment")

    def install(self, *words: str) -> None:
        """Run a step of the script; packages come from the index that pip is set up with."""
        script = [self.project / "docker" / "install.sh", *words]
        subprocess.run(script, cwd=self.project, env=self._environment, check=True)

    def run(self, program: str, *words: str) -> str:
        """What a program of the environment prints."""
        command = [self.programs / program, *words]
        done = subprocess.run(command, cwd="/", env=self._environment, check=True, capture_output=True, text=True)
        return done.stdout

    def installed(self) -> dict[str, str]:
        """Versions in the environment."""
        listing = "import importlib.metadata as m\nfor d in m.distributions(): print(d.name + '==' + d.version)"
        lines = self.run("python", "-c", listing).splitlines()
        return {canonical(name): version for name, version in (line.split("==") for line in lines)}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def constraints() -> dict[str, str]:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line]
    return {canonical(line.split("==")[0]): line.split("==")[1] for line in lines}


@pytest.mark.slow
def test_the_servers_get_pinned_versions_and_no_installer(tmp_path: Path) -> None:
    image = Image(tmp_path)
    image.install("servers", "--no-deps")
    pins = constraints()
    assert image.installed() == {name: pins[name] for name in ("prefect", "mlflow", "boto3", "psycopg2-binary")}


@pytest.mark.long(reason="downloads and unpacks more than a hundred packages")
def test_the_servers_start_on_the_pinned_set(tmp_path: Path) -> None:
    image = Image(tmp_path)
    image.install("servers")
    for program, *words in SERVERS:
        image.run(program, *words)
    pins, found = constraints(), image.installed()
    assert found == {name: pins.get(name) for name in found}


@pytest.mark.slow
@pytest.mark.parametrize("project", [".", ".[gpu]"])
def test_the_installed_command_finds_sources_that_are_copied_later(project: str, tmp_path: Path) -> None:
    image = Image(tmp_path)
    image.install("project", project, "--no-deps")
    for source in ("flows", "tasks"):
        shutil.copytree(ROOT / source, image.project / source, dirs_exist_ok=True)

    names = ["flows.cli.app", "tasks.spine.stage.launch"]
    where = f"import importlib.util as u; print(*(u.find_spec(name).origin for name in {names}))"
    found = image.run("python", "-c", where).split()
    assert found == [str(image.project / name.replace(".", "/")) + ".py" for name in names]
    assert "from flows.cli.app import app" in (image.programs / "midtrain").read_text()
    assert set(image.installed()) == {"midtrain"}


def test_a_step_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    refused = subprocess.run([ROOT / "docker" / "install.sh", "vllm"], cwd=tmp_path, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "no step 'vllm'" in refused.stderr


def test_images_install_by_the_steps_of_the_script_alone() -> None:
    steps = set(re.findall(r"^    ([\w-]+)\)", (ROOT / "docker" / "install.sh").read_text(), re.MULTILINE))
    texts = [path.read_text() for path in (ROOT / "docker").glob("*.Dockerfile")]
    called = {step for text in texts for step in re.findall(r"^RUN docker/install\.sh ([\w-]+)", text, re.MULTILINE)}
    assert called == steps
    assert not any(re.search(r"\b(pip|venv) (install|-)", text) for text in texts)
