"""Weights & Biases beside MLflow: what a run writes there goes to W&B too, where `runtime.mirror` asks for it.

Account, address and mode are W&B's own business: `wandb login` or `WANDB_API_KEY`, `WANDB_BASE_URL`, `WANDB_ENTITY`,
and `WANDB_MODE=offline`, which keeps runs in `wandb/` under `MIDTRAIN_HOME` until `wandb sync`.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tasks.spine.store.runtime import Mirror
from tasks.spine.tracking.terms import NOTE
from tasks.text import without_passwords

if TYPE_CHECKING:
    import wandb
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param
    from mlflow.entities import Run as MlflowRun

log = logging.getLogger(__name__)

WITHOUT_ACCOUNT = ("offline", "dryrun", "disabled")
"""Modes of W&B that send nothing."""
WAIT_S = 30.0
"""Longest wait for W&B where a run begins, and for what is left to send where it ends. Ours."""
STEP = "step"
"""Metric along which W&B draws the others. Its own count refuses to go back, as a resumed training does."""


def check_mirror(mirror: Mirror) -> None:
    """Refuse a mirror that cannot work, before any work is done for it.

    Raises:
        ValueError: its package is missing, or it would have to ask for an account.
    """
    if mirror == "none":
        return
    if find_spec("wandb") is None:
        raise ValueError(
            "runtime.mirror=wandb needs W&B, which is not installed here; install the extra `wandb` "
            "(pip install 'midtrain[wandb]') wherever stages run, or leave runtime.mirror at none"
        )
    import wandb

    mode = wandb.setup(wandb.Settings(silent=True)).settings.mode
    if mode not in WITHOUT_ACCOUNT and not wandb.login(prompt=False, verify=False):
        raise ValueError(
            "runtime.mirror=wandb: W&B has no key on this machine; run `wandb login`, set WANDB_API_KEY, or set "
            "WANDB_MODE=offline to keep the runs here"
        )


def mirrored(client: "MlflowClient", mirror: Mirror, project: str, folder: Path) -> "MlflowClient":
    """The client, which writes to the mirror too if there is one; `folder` is where that keeps its own files."""
    return client if mirror == "none" else cast("MlflowClient", MirroredClient(client, project, folder))


@dataclass
class MirroredClient:
    """An MLflow client that keeps a run in W&B for each run that it makes, under the same id.

    The first failure of W&B is logged and ends the mirror for this process: neither a stage nor MLflow waits for it.
    """

    client: "MlflowClient"
    project: str
    folder: Path
    broken: bool = False
    _runs: dict[str, "wandb.Run"] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        """What has no counterpart in W&B is MLflow's alone."""
        return getattr(self.client, name)

    def create_run(self, experiment_id: str, *, run_name: str, tags: dict[str, str]) -> "MlflowRun":
        """Make a run; those of one pipeline are a group."""
        run = self.client.create_run(experiment_id, run_name=run_name, tags=tags)
        with self._harmless():
            self._begin(run.info.run_id, run_name, tags)
        return run

    def log_batch(
        self, run_id: str, metrics: Sequence["Metric"] = (), params: Sequence["Param"] = (), synchronous: bool = True
    ) -> None:
        """Write metrics and parameters."""
        self.client.log_batch(run_id, metrics=metrics, params=params, synchronous=synchronous)
        with self._harmless():
            if run := self._runs.get(run_id):
                run.config.update({param.key: _value(param.value) for param in params}, allow_val_change=True)
                for step, of_step in groupby(metrics, key=lambda metric: metric.step):
                    run.log({STEP: step, **{metric.key: metric.value for metric in of_step}})

    def set_tag(self, run_id: str, key: str, value: str) -> None:
        """Set a tag, or the description."""
        self.client.set_tag(run_id, key, value)
        with self._harmless():
            if run := self._runs.get(run_id):
                _tell(run, {key: value})

    def set_terminated(self, run_id: str, status: str) -> None:
        """Close a run."""
        self.client.set_terminated(run_id, status)
        with self._harmless():
            if run := self._runs.pop(run_id, None):
                run.finish(exit_code=int(status != "FINISHED"))

    def _begin(self, run_id: str, name: str, tags: Mapping[str, str]) -> None:
        if self.broken:
            return
        import wandb

        # Of what W&B gathers by itself, the use of the machine alone: no console, no code, no command line.
        settings = wandb.Settings(
            silent=True,
            console="off",
            disable_git=True,
            save_code=False,
            x_disable_meta=True,
            init_timeout=WAIT_S,
            finish_timeout=WAIT_S,
        )
        run = wandb.init(
            project=self.project,
            id=run_id,
            name=name,
            group=tags.get("mlflow.parentRunId", run_id),
            job_type=tags.get("midtrain.stage", "pipeline"),
            dir=self.folder,
            reinit="create_new",
            settings=settings,
        )
        run.define_metric("*", step_metric=STEP)
        _tell(run, tags)
        self._runs[run_id] = run

    @contextmanager
    def _harmless(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.broken = True
            self._runs.clear()
            log.warning("W&B failed, and gets no more of this run: %s", without_passwords(str(error)))


def _tell(run: "wandb.Run", tags: Mapping[str, str]) -> None:
    """Tags have names and values, which W&B's tags have not: they stand in its table beside the parameters."""
    if NOTE in tags:
        run.notes = tags[NOTE]
    own = {key: value for key, value in tags.items() if not key.startswith("mlflow.")}
    run.config.update(own, allow_val_change=True)


def _value(text: str) -> int | float | str:
    """A parameter, which MLflow keeps as text, as the number that it is: W&B draws and sorts by numbers."""
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text
