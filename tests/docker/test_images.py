"""The Dockerfiles: hadolint's judgement, pins, and what reaches a builder."""

import fnmatch
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
PINNED = r"[\w./-]+:[\w.-]*\d[\w.-]*@sha256:[0-9a-f]{64}"


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_hadolint_has_nothing_to_say(path: Path) -> None:
    """Among much else: the last user is not root, no cache of packages stays, no shell error is swallowed."""
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed; it is one of the project's dev requirements")
    checked = subprocess.run([hadolint, "--no-color", path], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


def test_bases_are_pinned_by_version_and_digest_and_python_alike() -> None:
    bases = {
        base for path in DOCKERFILES for base in lines(path, r"ARG \w+_IMAGE=(\S+)") + lines(path, r"FROM (\S+:\S+)")
    }
    assert all(re.fullmatch(PINNED, base) for base in bases), bases
    assert len({base for base in bases if base.startswith("python:")}) == 1
    for path in DOCKERFILES:
        stages = lines(path, r"FROM \S+ AS (\S+)")
        others = [base for base in lines(path, r"FROM (\S+)") if not re.fullmatch(PINNED, base)]
        assert set(others) <= {*stages, "${PYTHON_IMAGE}", "${CUDA_IMAGE}"}


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_the_last_user_is_a_number(path: Path) -> None:
    # An orchestrator that refuses root cannot look a name up.
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", lines(path, r"USER (\S+)")[-1])


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_nothing_comes_from_the_network_unchecked_and_no_secret_is_set(path: Path) -> None:
    assert not re.search(r"^ADD |\b(curl|wget)\b", path.read_text(), re.MULTILINE)
    assert not re.search(r"(PASSWORD|SECRET|TOKEN|ACCESS_KEY|AUTH)\w*=", path.read_text())


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_what_is_copied_exists_and_is_sent_to_the_builder(path: Path) -> None:
    for copied in lines(path, r"COPY ([^-].*)"):
        for source in copied.split()[:-1]:
            assert (ROOT / source).exists(), f"{path.name} copies {source}"
            assert sent(source), f".dockerignore keeps {source} out"


@pytest.mark.parametrize(
    "secret", ["docker/.env", ".git/config", ".midtrain/mlflow.db", ".venv/pyvenv.cfg", "docker/compose.yaml"]
)
def test_secrets_data_and_history_are_not_sent_to_the_builder(secret: str) -> None:
    assert not sent(secret)


def sent(source: str) -> bool:
    """Whether .dockerignore, whose last match wins, lets this path (or the folder around it) through."""
    kept = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!")
        if line and not line.startswith("#") and (fnmatch.fnmatch(source, pattern) or source.startswith(f"{pattern}/")):
            kept = line.startswith("!")
    return kept


@pytest.mark.parametrize("name", ["control.Dockerfile", "gpu.Dockerfile"])
def test_images_of_the_project_hold_the_same_tree(name: str) -> None:
    copied = {words for line in lines(ROOT / "docker" / name, r"COPY ([^-].*)") for words in line.split()[:-1]}
    assert {"flows", "tasks", "deployments", "pyproject.toml"} <= copied
    assert "MIDTRAIN_COMMIT=${MIDTRAIN_COMMIT}" in lines(ROOT / "docker" / name, r"ENV (\S+)$")


def lines(path: Path, pattern: str) -> list[str]:
    """What stands in the groups of lines that begin so."""
    return re.findall(f"^{pattern}", path.read_text(), re.MULTILINE)


def test_what_the_gpu_worker_compiles_is_kept_in_its_volume() -> None:
    environment = dict(re.findall(r"(\w+)=(/\S+)", (ROOT / "docker" / "gpu.Dockerfile").read_text()))
    caches = ("HF_HOME", "XDG_CACHE_HOME", "TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR")
    assert all(environment[name].startswith(f"{environment['MIDTRAIN_HOME']}/") for name in caches)
    from torch._inductor.runtime import cache_dir_utils

    read = Path(cache_dir_utils.__file__).read_text()
    assert all(name in read for name in caches[2:])


def test_the_gpu_worker_can_compile() -> None:
    """Triton compiles C for each kernel, torch.compile C++; the headers of Python come with its own image."""
    installed = re.search(r"apt-get install ((?:.|\n)*?)&&", (ROOT / "docker" / "gpu.Dockerfile").read_text())
    assert installed is not None
    assert {"gcc", "g++", "libc6-dev"} <= set(installed[1].split())


def test_pins_of_cuda_do_not_contradict_the_tested_set() -> None:
    common, cuda = (pinned(ROOT / name) for name in ("constraints.txt", "docker/constraints-gpu.txt"))
    assert not common & cuda
    assert {"torch", "vllm", "triton"} <= common


def pinned(path: Path) -> set[str]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    return {re.sub(r"[-_.]+", "-", line.split("==")[0]).lower() for line in lines}
