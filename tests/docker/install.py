"""The install steps of an image, run as they stand in a folder instead of an image.

    python -m tests.docker.install control.Dockerfile build-control FOLDER

takes some minutes; what it installs lies in FOLDER/opt/venv afterwards.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.docker.dockerfile import ROOT, copied, lineage

OWN_INDEX = re.compile(r'--index-url "\$\{\w+\}" ')
"""Left out of commands, so that what pip is set up with is enough."""


def run_stage(path: Path, name: str, folder: Path, edit: Callable[[str], str] = str) -> None:
    """Do what a build of this stage would, with `/opt` in `folder` and this Python as the image's.

    Packages come from the index that pip is set up with.
    `edit` may change the command of a RUN step.
    """

    def moved(text: str) -> str:
        return text.replace("/opt/", f"{folder}/opt/")

    here = folder
    # What belongs to the environment of the caller must not help.
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment["PATH"] = f"{tools(folder)}{os.pathsep}{environment['PATH']}"
    for stage in lineage(path, name):
        environment |= {key: moved(value) for key, value in stage.environment().items()}
        for step in stage.steps:
            if step.name == "WORKDIR":
                here = Path(moved(step.text))
                here.mkdir(parents=True, exist_ok=True)
            elif step.name == "COPY":
                _, sources, destination = copied(step.text)
                (here / destination).mkdir(parents=True, exist_ok=True)
                for source in sources:
                    shutil.copy(ROOT / source, here / destination)
            elif step.name == "RUN":
                command = OWN_INDEX.sub("", moved(edit(step.text)))
                assert "--index-url" not in command, command
                subprocess.run(["/bin/sh", "-c", command], cwd=here, env=environment, check=True)


def tools(folder: Path) -> Path:
    """A folder with `python` and `pip`, as the base image has them on its path."""
    subprocess.run([sys.executable, "-m", "venv", folder / "base"], check=True)
    return folder / "base" / "bin"


if __name__ == "__main__":
    run_stage(ROOT / "docker" / sys.argv[1], sys.argv[2], Path(sys.argv[3]).resolve())
