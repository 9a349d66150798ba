"""The Dockerfiles: pinned, without root, without tools of the build, and naming nothing that is not there."""

import fnmatch
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docker.dockerfile import DOCKERFILES, ROOT, Stage, copied, last, lineage, stages

IMAGES = [(path, name) for path in DOCKERFILES for name in stages(path) if name in ("servers", "control", "gpu")]
IMAGES += [(path, last(path).name) for path in DOCKERFILES if path.name == "store.Dockerfile"]
EVERY_STAGE = [(path, stage) for path in DOCKERFILES for stage in stages(path).values()]
BUILD_TOOLS = re.compile(r"\b(build-essential|g\+\+|make|cmake|git|curl|pip|[\w.]+-dev)\b")
RUN_TIME_TOOLS = {"libc6-dev"}
"""Headers for the C compiler that Triton starts while a model runs."""
names = [f"{path.name}:{name}" for path, name in IMAGES]
every_stage_names = [f"{path.name}:{stage.name}" for path, stage in EVERY_STAGE]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_hadolint_has_nothing_to_say(path: Path) -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed; it is one of the project's dev requirements")
    checked = subprocess.run([hadolint, "--no-color", path], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize(("path", "stage"), EVERY_STAGE, ids=every_stage_names)
def test_bases_are_pinned_by_version_and_digest(path: Path, stage: Stage) -> None:
    if stage.base in stages(path):
        return
    assert re.fullmatch(r"[\w./-]+:[\w.-]*\d[\w.-]*@sha256:[0-9a-f]{64}", stage.base), stage.base
    assert "latest" not in stage.base


def test_images_that_share_python_share_its_pin() -> None:
    pins = {stage.base for _, stage in EVERY_STAGE if stage.base.startswith("python:")}
    assert len(pins) == 1, pins


@pytest.mark.parametrize(("path", "name"), IMAGES, ids=names)
def test_the_last_user_is_a_number_other_than_root(path: Path, name: str) -> None:
    users = stages(path)[name].all("USER")
    # By number: an orchestrator that refuses root cannot look a name up.
    assert users
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1]), users[-1]


@pytest.mark.parametrize(("path", "name"), IMAGES, ids=names)
def test_no_build_tool_is_installed_in_an_image(path: Path, name: str) -> None:
    for stage in lineage(path, name):
        for text in stage.all("RUN"):
            assert set(BUILD_TOOLS.findall(text)) <= RUN_TIME_TOOLS, text
            assert "pip install" not in text


@pytest.mark.parametrize(("path", "stage"), EVERY_STAGE, ids=every_stage_names)
def test_nothing_is_added_from_the_network_and_no_cache_stays(path: Path, stage: Stage) -> None:
    assert not stage.all("ADD")
    for text in stage.all("RUN"):
        assert not re.search(r"\b(curl|wget)\b", text), text
        if "apt-get install" in text:
            assert "--no-install-recommends" in text
            assert "rm -rf /var/lib/apt/lists/*" in text
        if "pip install" in text:
            settings = {key: value for one in lineage(path, stage.name) for key, value in one.environment().items()}
            assert settings["PIP_NO_CACHE_DIR"] == "1"
            assert "constraints.txt" in settings["PIP_CONSTRAINT"]


@pytest.mark.parametrize(("path", "stage"), EVERY_STAGE, ids=every_stage_names)
def test_what_is_copied_exists_and_is_sent_to_the_builder(path: Path, stage: Stage) -> None:
    for text in stage.all("COPY"):
        origin, sources, _ = copied(text)
        if origin is not None:
            assert origin in stages(path), f"{path.name} copies from {origin}"
            continue
        for source in sources:
            assert (ROOT / source).exists(), f"{path.name} copies {source}"
            assert sent(source), f".dockerignore keeps {source} out"


def sent(source: str) -> bool:
    """Whether .dockerignore, whose last match wins, lets this path (or the folder around it) through."""
    kept = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!")
        if line and not line.startswith("#") and (fnmatch.fnmatch(source, pattern) or source.startswith(f"{pattern}/")):
            kept = line.startswith("!")
    return kept


@pytest.mark.parametrize(
    "secret", ["docker/.env", ".git/config", ".midtrain/mlflow.db", ".venv/pyvenv.cfg", "docker/compose.yaml"]
)
def test_secrets_data_and_history_are_not_sent_to_the_builder(secret: str) -> None:
    assert not sent(secret)


@pytest.mark.parametrize(("path", "stage"), EVERY_STAGE, ids=every_stage_names)
def test_no_secret_is_set_in_an_image(path: Path, stage: Stage) -> None:
    for name in (*stage.environment(), *stage.all("ARG")):
        assert not re.search(r"PASSWORD|SECRET|TOKEN|ACCESS_KEY|AUTH", name), name


@pytest.mark.parametrize("name", ["control.Dockerfile", "gpu.Dockerfile"])
def test_images_of_the_project_hold_the_same_tree(name: str) -> None:
    stage = last(ROOT / "docker" / name)
    contents = {source for text in stage.all("COPY") if copied(text)[0] is None for source in copied(text)[1]}
    assert {"flows", "tasks", "deployments", "pyproject.toml"} <= contents
    assert stage.environment()["MIDTRAIN_COMMIT"] == "${MIDTRAIN_COMMIT}"


def test_pins_of_cuda_do_not_contradict_the_tested_set() -> None:
    common, cuda = (pinned(ROOT / name) for name in ("constraints.txt", "docker/constraints-gpu.txt"))
    assert not common & cuda
    assert {"torch", "vllm", "triton"} <= common


def pinned(path: Path) -> set[str]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    return {re.sub(r"[-_.]+", "-", line.split("==")[0]).lower() for line in lines}
