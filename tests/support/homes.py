"""Homes to start from: with databases that are up to date, and with what earlier stages made."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tasks.spine.store.settings import Settings
from tasks.spine.store.store import Store

MAKE = """
import asyncio
from prefect.server.database import provide_database_interface
asyncio.run(provide_database_interface().create_db())
"""


@dataclass(frozen=True)
class Databases:
    """Prefect's and MLflow's databases before the first run: either takes seconds to make, and is quickly copied."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> "Databases":
        """Make both in an empty folder."""
        from mlflow import MlflowClient

        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        environment = {**inherited, "PREFECT_HOME": str(folder / "prefect")}
        (folder / "prefect").mkdir()
        making = subprocess.Popen([sys.executable, "-c", MAKE], env=environment)
        MlflowClient(Settings(home=folder).mlflow_uri).search_experiments()
        assert making.wait() == 0
        return cls(folder)

    def copy_to(self, home: Path) -> None:
        """Make a new home ready for commands of its own and for flows on any server."""
        self.copy_prefect_to(home)
        shutil.copy(self.folder / "mlflow.db", home)

    def copy_prefect_to(self, folder: Path) -> None:
        """Make `folder`/prefect ready for a server."""
        (folder / "prefect").mkdir(parents=True)
        for path in (self.folder / "prefect").glob("prefect.db*"):
            shutil.copy(path, folder / "prefect")


def copy_stages(source: Path, target: Path, *stages: str) -> None:
    """Copy what these stages made from a home to another one, where a run then begins after them."""
    for manifest in Store.open(Settings(home=source)).all():
        if manifest.stage in stages:
            place = Path("store", manifest.ref.path)
            shutil.copytree(source / place, target / place, dirs_exist_ok=True)
