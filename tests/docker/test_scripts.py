"""The scripts that containers run: bucket creation, health check, and the set-up of the databases."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from tests.support.paths import ROOT

POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
PASSWORDS = {"prefect": "it's @a/p:ass", "mlflow": 'say "$x" %2F'}


def run(script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, ROOT / "docker" / script, *arguments]
    return subprocess.run(words, capture_output=True, text=True, env={**os.environ, **environment})


def test_buckets_are_made_once(s3_endpoint: str) -> None:
    account = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_DEFAULT_REGION": "us-east-1"}
    first, second = (run("buckets.py", "one", "two", AWS_ENDPOINT_URL=s3_endpoint, **account) for _ in range(2))
    assert (first.stdout, first.returncode) == ("one: created\ntwo: created\n", 0)
    assert (second.stdout, second.returncode) == ("one: there already\ntwo: there already\n", 0)
    client = boto3.client(
        "s3", endpoint_url=s3_endpoint, region_name="us-east-1", aws_access_key_id="k", aws_secret_access_key="s"
    )
    assert {"one", "two"} <= {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}


def test_a_store_that_does_not_answer_is_an_error() -> None:
    account = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_DEFAULT_REGION": "us-east-1"}
    failed = run("buckets.py", "one", AWS_ENDPOINT_URL="http://127.0.0.1:9", AWS_MAX_ATTEMPTS="1", **account)
    assert failed.returncode == 1
    assert "http://127.0.0.1:9" in failed.stderr


def test_health_is_the_answer_of_the_address(s3_endpoint: str) -> None:
    assert run("healthy.py", f"{s3_endpoint}/moto-api/").returncode == 0
    assert run("healthy.py", f"{s3_endpoint}/no-such-bucket/key").returncode == 1
    nobody = run("healthy.py", "http://127.0.0.1:9/health")
    assert nobody.returncode == 1
    assert "refused" in nobody.stderr


@pytest.fixture
def cluster() -> Iterator[Path]:
    """Folder of the socket of an empty Postgres, run by a user other than root as it insists."""
    if not POSTGRES:
        pytest.skip("Postgres is not installed (looked in /usr/lib/postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    as_user: list[str] = []
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
        as_user = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"]
    folder.chmod(0o755)
    data, control = str(folder / "data"), str(POSTGRES[-1] / "pg_ctl")
    initdb = [str(POSTGRES[-1] / "initdb"), "-D", data, "-U", "postgres"]
    start = [control, "-D", data, "-w", "-l", str(folder / "log"), "-o", f"-k {folder} -c listen_addresses=''", "start"]
    trust = ["--auth-local=trust"]
    try:
        subprocess.run([*as_user, *initdb, *trust], check=True, stdout=subprocess.DEVNULL, cwd=folder)
        # As in the image: the superuser needs no password on the socket, everybody else does.
        rules = "local all postgres trust\nlocal all all scram-sha-256\n"
        (folder / "data" / "pg_hba.conf").write_text(rules)
        subprocess.run([*as_user, *start], check=True, stdout=subprocess.DEVNULL, cwd=folder)
        yield folder
    finally:
        subprocess.run(
            [*as_user, control, "-D", data, "-m", "immediate", "stop"], stdout=subprocess.DEVNULL, cwd=folder
        )
        shutil.rmtree(folder)


def test_each_server_gets_a_database_that_the_other_cannot_open(cluster: Path) -> None:
    environment = {**os.environ, "PGHOST": str(cluster), "POSTGRES_USER": "postgres"}
    passwords = {f"{role.upper()}_DB_PASSWORD": password for role, password in PASSWORDS.items()}
    script = ROOT / "docker" / "postgres" / "init.sh"
    subprocess.run([script], check=True, env={**environment, **passwords})

    def ask(role: str, database: str, password: str) -> subprocess.CompletedProcess[str]:
        query = "CREATE TABLE mine (); SELECT extname FROM pg_extension ORDER BY 1"
        words = ["psql", "-X", "-At", "-U", role, "-d", database, "-c", query]
        return subprocess.run(words, capture_output=True, text=True, env={**environment, "PGPASSWORD": password})

    answers = {role: ask(role, role, password) for role, password in PASSWORDS.items()}
    assert "pg_trgm" in answers["prefect"].stdout
    assert answers["mlflow"].returncode == 0
    assert ask("prefect", "prefect", "wrong").returncode != 0
    assert "permission denied" in ask("mlflow", "prefect", PASSWORDS["mlflow"]).stderr
