"""Where this installation keeps things; read from the environment, never part of an identity."""

import os
import re
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from tasks.text import has_password, without_passwords

PREFIX = "MIDTRAIN_"
LIKENESS = 0.75
"""Ratio of `difflib` from which a variable is taken for a setting that is misspelt (ours)."""
STARTED_BY_WORKER = "PREFECT__FLOW_RUN_ID"
"""Environment variable that Prefect's workers set for the run that they start."""


class Settings(BaseSettings):
    """Places, from `MIDTRAIN_*` variables; everything lives under `MIDTRAIN_HOME` unless said otherwise."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, ignored_types=(cached_property,), hide_input_in_errors=True
    )

    home: Path = Path(".midtrain")
    """Folder of this installation's data; relative to the current directory."""
    store: str = ""
    """Artifact store: a local path or an fsspec address (`s3://bucket/prefix`). Empty: `<home>/store`."""
    results: str = Field("", pattern=r"^$|^\w+://.+")
    """Prefect's results: an fsspec address (`s3://bucket/prefix`). Empty: where Prefect's own settings say."""
    s3_patience_s: float = Field(120.0, ge=0, allow_inf_nan=False)
    """Seconds for which a request to S3 that fails for a passing reason is tried again."""
    tracking_uri: str = ""
    """MLflow address. Empty: MLFLOW_TRACKING_URI, else SQLite under `<home>`."""
    tracking_page: str = Field("", pattern="^$|^https?://.+")
    """Address under which a browser finds MLflow, for links. Empty: `tracking_uri`, or what `midtrain ui` serves."""
    training_limit: str = "training-{host}"
    """Prefect's concurrency limit that runs of a worker hold while they train, `{host}` being the machine's name.
    Empty: none, where something else hands out the GPUs."""

    form_sources: str = "s3,s3a,gs,gcs,az,abfs,hf"
    """Protocols of the addresses that runs which a worker starts, as from a server's form, may read questions and texts
    from, with commas between. Without `http` and `https`, who fills in a form cannot have the worker's machine ask
    others for web pages. Paths and datasets of the hub are always allowed."""

    @property
    def allowed_protocols(self) -> list[str]:
        """`form_sources` one by one."""
        return [protocol.strip() for protocol in self.form_sources.split(",") if protocol.strip()]

    @model_validator(mode="before")
    @classmethod
    def _no_variable_is_misspelt(cls, values: dict[str, Any]) -> dict[str, Any]:
        """It would be passed over, and what it names, such as the store, be taken from elsewhere."""
        known = [name.upper() for name in cls.model_fields]
        given = [name.removeprefix(PREFIX) for name in os.environ if name.startswith(PREFIX)]
        for name in given:
            near = get_close_matches(name, known, n=1, cutoff=LIKENESS)
            if near and name not in known:
                raise ValueError(f"{PREFIX}{name} is no setting; did you mean {PREFIX}{near[0]}?")
        return values

    @field_validator("home", mode="before")
    @classmethod
    def _is_a_folder(cls, value: Any) -> Any:
        if not str(value).strip():
            raise ValueError("MIDTRAIN_HOME is empty; unset it, or set it to a folder")
        if re.match(r"\w+:/", str(value)):
            raise ValueError(
                f"MIDTRAIN_HOME={without_passwords(str(value))} is an address, and a home is a folder of this machine; "
                "MIDTRAIN_STORE takes an address"
            )
        return value

    @field_validator("store")
    @classmethod
    def _is_whole(cls, value: str) -> str:
        if re.match(r"\w+:/(?!/)", value):
            raise ValueError(
                f"MIDTRAIN_STORE={value} has one slash behind its protocol; write two, as in s3://bucket/x"
            )
        return value

    @field_validator("store", "results", "tracking_page")
    @classmethod
    def _has_no_password(cls, value: str, info: ValidationInfo) -> str:
        """These addresses stand in messages, manifests and on the Prefect server."""
        if has_password(value):
            raise ValueError(
                f"MIDTRAIN_{str(info.field_name).upper()}={without_passwords(value)} has a password in its address; "
                "leave it out and set FSSPEC_PROTOCOL_PASSWORD, for PROTOCOL the address's own, or AWS_*"
            )
        return value

    @property
    def root(self) -> Path:
        """`home`, absolute."""
        return self.home.expanduser().resolve()

    @property
    def store_uri(self) -> str:
        """Address of the artifact store."""
        return self.store or str(self.root / "store")

    @property
    def work(self) -> Path:
        """Local folders of stages in progress, named by fingerprint."""
        return self.root / "work"

    @property
    def cache(self) -> Path:
        """Local copies of artifacts of a remote store."""
        return self.root / "cache"

    @property
    def mlflow_uri(self) -> str:
        """Address of the MLflow tracking server or database."""
        chosen = self.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
        return chosen or sqlite_address("sqlite", self.root / "mlflow.db")

    @property
    def mlflow_shown(self) -> str:
        """The same for people, without user and password."""
        return without_passwords(self.mlflow_uri)

    @property
    def mlflow_file(self) -> Path | None:
        """The SQLite file that MLflow's data are in; None where another database or a server has them."""
        scheme, _, path = self.mlflow_uri.partition(":///")
        return Path(unquote(path.partition("?")[0])) if scheme.startswith("sqlite") and path else None


def sqlite_address(scheme: str, file: Path) -> str:
    """SQLAlchemy's address of a SQLite file, whatever characters its path has.

    SQLAlchemy takes what follows a `?` for options and decodes `%41`. Such paths are quoted, and the driver is named,
    because MLflow makes the folders that an address which begins with `sqlite:///` seems to spell.
    """
    path = str(file)
    if "?" not in path and not re.search("%[0-9A-Fa-f]{2}", path):
        return f"{scheme}:///{path}"
    return f"{scheme if '+' in scheme else f'{scheme}+pysqlite'}:///{quote(path)}"
