"""Fixtures that every ring of tests shares."""

import os

# Read when torch is imported. Models of the tests are so small that more threads cost time, above all beside others.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.network import free_port, wait_for
from tests.support.paths import ROOT
from tests.support.s3_proxy import Proxy, proxy_before

pytest_plugins = ["tests.support.selection"]


MLFLOW_ADDRESS = "MLFLOW_TRACKING_URI"
GIVEN_ADDRESS = os.environ.get(MLFLOW_ADDRESS)


@pytest.fixture(autouse=True)
def no_address_of_mlflow_is_left() -> Iterator[None]:
    """A registration sets MLflow's own address, for the process and in its environment; no later test sees it."""
    yield
    if (mlflow := sys.modules.get("mlflow")) is not None:
        mlflow.set_tracking_uri(None)
    if GIVEN_ADDRESS is None:
        os.environ.pop(MLFLOW_ADDRESS, None)
    else:
        os.environ[MLFLOW_ADDRESS] = GIVEN_ADDRESS


@pytest.fixture(scope="session")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a random Llama with a byte-level tokenizer and a context of 1,024."""
    from tests.support.random_model import save_random_model

    return save_random_model(tmp_path_factory.mktemp("random-model"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with the publishers' question sets; tests that need it skip where it is not there."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real question sets are not on this machine (looked in {folder})")
    return folder


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of an S3 server in a process of its own: in this one, its web framework would meet vLLM's imports."""
    port = free_port()
    log = (tmp_path_factory.mktemp("s3") / "server.log").open("w")
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_for(f"http://127.0.0.1:{port}/moto-api/")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()
        log.close()


@pytest.fixture
def s3_bucket(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of a bucket at the endpoint, which the environment leads to."""
    import boto3

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    boto3.client("s3", endpoint_url=s3_endpoint, region_name="us-east-1").create_bucket(Bucket="midtrain")
    return "midtrain"


@pytest.fixture
def s3_proxy(s3_bucket: str, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A proxy that breaks what it is told to; the environment leads to it instead of to the endpoint."""
    with proxy_before(s3_endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.address)
        yield proxy


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB: too small for a model."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"mounting a small file system is not permitted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
