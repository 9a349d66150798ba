"""MLflow: one parent run per pipeline run that did anything, one child per stage that really ran.

Always the client with an explicit run id (MLflow's fluent API makes stray runs in threads). The first failure is
logged and switches tracking off for the rest of the run: the manifests hold the same edges, so nothing is lost that
training should have to wait for.
"""

import functools
import logging
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from tasks.spine.process import has_ended, own_host, own_identity
from tasks.spine.store.manifest import Manifest, git_commit
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.runtime import Mirror
from tasks.spine.store.settings import Settings
from tasks.spine.store.store import Store
from tasks.spine.tracking.journal import StageRecord, once
from tasks.spine.tracking.links import Links, log_curves, log_numbers, log_params
from tasks.spine.tracking.mirror import mirrored
from tasks.spine.tracking.own_database import artifact_location, follow_home
from tasks.spine.tracking.pages import mlflow_page
from tasks.spine.tracking.system_metrics import SystemMetrics
from tasks.spine.tracking.terms import NAME_CHARS, NOTE, note
from tasks.text import without_passwords

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")
LOCKED_S = 60
PROCESS_TAG = "midtrain.process"
"""Tag of a run with the process that writes it, for those that outlive theirs."""
PARENT_TAG = "mlflow-run:"
"""Before the parent run's id in the tag of a Prefect run that works for another run's pipeline."""


def _guarded(
    method: Callable[Concatenate["Tracker", P], R],
) -> Callable[Concatenate["Tracker", P], R | None]:
    """Tracking must never stop a stage: the first failure is logged and turns the tracker off."""

    @functools.wraps(method)
    def call(self: "Tracker", *args: P.args, **kwargs: P.kwargs) -> R | None:
        if self.broken:
            return None
        try:
            return method(self, *args, **kwargs)
        except Exception as error:
            self.broken = True
            address, why = self.settings.mlflow_shown, without_passwords(str(error))
            log.warning("MLflow at %s failed, tracking is off for this run: %s", address, why)
            return None

    return call


@dataclass
class Tracker:
    """Writes one pipeline run to MLflow."""

    name: str
    """Name of the parent run."""
    tags: dict[str, str] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    """Main settings of the run, by which people tell it from others."""
    settings: Settings = field(default_factory=Settings)
    note: str = ""
    """Begins the parent run's description; markdown."""
    opened: Callable[["Tracker"], None] = lambda _: None
    """Called when the parent run is there; must not raise."""
    experiment: str = "midtrain"
    mirror: Mirror = "none"
    parent_run_id: str | None = None
    """The parent run; one that is given belongs to another process, which also closes it."""
    broken: bool = False

    def __post_init__(self) -> None:
        self._owns_parent = self.parent_run_id is None
        self._lock = threading.Lock()

    @functools.cached_property
    def client(self) -> "MlflowClient":
        """The client; a server that is down is given up on within seconds, not minutes."""
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        from mlflow import MlflowClient

        self.settings.root.mkdir(parents=True, exist_ok=True)
        follow_home(self.settings)
        return mirrored(MlflowClient(tracking_uri=self.address), self.mirror, self.experiment, self.settings.root)

    @property
    def address(self) -> str:
        """Where MLflow's data are, for its own clients."""
        # A database that others write to is waited for; 5 s unless said.
        local = self.settings.mlflow_uri.startswith("sqlite") and "?" not in self.settings.mlflow_uri
        return self.settings.mlflow_uri + (f"?timeout={LOCKED_S}" if local else "")

    @functools.cached_property
    def _system(self) -> SystemMetrics:
        return SystemMetrics(self.address)

    @functools.cached_property
    def experiment_id(self) -> str:
        """Id of the experiment, made on first use.

        Raises:
            LookupError: it was deleted in MLflow, where its name stays taken and nothing can be written to it.
        """
        found = self.client.get_experiment_by_name(self.experiment)
        if found is not None and found.lifecycle_stage != "active":
            number = found.experiment_id
            raise LookupError(
                f"the experiment {self.experiment!r} was deleted there and keeps its name; with that address in "
                f"MLFLOW_TRACKING_URI restore it (`mlflow experiments restore --experiment-id {number}`), or remove it "
                f"for good (`mlflow gc --experiment-ids {number}`), and run again"
            )
        if found is not None:
            return found.experiment_id
        location = artifact_location(self.settings)
        # Without a kind MLflow's page opens on traces, as it does for agents.
        kind = {"mlflow.experimentKind": "custom_model_development"}
        return self.client.create_experiment(self.experiment, artifact_location=location, tags=kind)

    @_guarded
    def start_stage(
        self, stage: str, key: str, config: Any, parents: Mapping[str, ArtifactRef], store: Store, label: str = ""
    ) -> str:
        """A child run for a stage that is about to be built, named by `label`; links its inputs, writes its config."""
        run = self.client.create_run(
            self.experiment_id,
            run_name=f"{stage}: {label or key[:NAME_CHARS]}",
            tags={
                PROCESS_TAG: own_identity(),
                "mlflow.parentRunId": self._parent_run(),
                "midtrain.stage": stage,
                "midtrain.fingerprint": key,
            },
        )
        run_id = run.info.run_id
        links = self._links(store)
        log_params(self.client, run_id, config)
        links.inputs(run_id, parents)
        self._system.start(run_id)
        return run_id

    @_guarded
    def start_pipeline(self) -> str:
        """Id of the parent run, made when it is first asked for."""
        return self._parent_run()

    def _parent_run(self) -> str:
        with self._lock:
            if self.parent_run_id is None:
                self._close_left_runs()
                tags = {**self.tags, PROCESS_TAG: own_identity(), "midtrain.git_commit": git_commit() or "unknown"}
                run = self.client.create_run(self.experiment_id, run_name=self.name, tags={**tags, NOTE: self.note})
                self.parent_run_id = run.info.run_id
                log_params(self.client, self.parent_run_id, self.params)
                self.opened(self)
            return self.parent_run_id

    @_guarded
    def close_left_runs(self) -> None:
        """Mark the unfinished runs of this host's processes that are no more as killed."""
        self._close_left_runs()

    def _close_left_runs(self) -> None:
        host = own_host()
        running = f"attributes.status = 'RUNNING' AND tags.`{PROCESS_TAG}` LIKE '{host}:%'"
        for run in self.client.search_runs([self.experiment_id], running):
            if has_ended(run.data.tags[PROCESS_TAG]):
                self.client.set_terminated(run.info.run_id, "KILLED")

    @_guarded
    def log_metrics(self, run_id: str, lines: list[dict[str, Any]]) -> None:
        """Metric lines of a worker (step, time, values), sent as one batch without waiting."""
        log_curves(self.client, run_id, lines)

    @_guarded
    def finish_stage(self, run_id: str, manifest: Manifest | None, store: Store, label: str = "") -> None:
        """Close a stage's run: its output as dataset or LoggedModel, its ledger as tags, or its failure."""
        from mlflow.entities import LoggedModelOutput

        self._system.finish(run_id)
        if manifest is None:
            self.client.set_terminated(run_id, "FAILED")
            return
        log_numbers(self.client, run_id, {"seconds": manifest.seconds})
        links = self._links(store)
        links.counts(run_id, manifest)
        if manifest.kind == "model":
            model_id = links.model(manifest.ref, run_id, label)
            for run in (run_id, self._parent_run()):
                self.client.log_outputs(run, [LoggedModelOutput(model_id, step=0)])
        else:
            links.dataset(run_id, manifest, context="output")
        links.scores(run_id, manifest)
        self.client.set_terminated(run_id, "FINISHED")

    @_guarded
    def finish_pipeline(self, stages: list[StageRecord], failed: bool, store: Store) -> None:
        """Link what was used and reused, and close the parent run; a pipeline that built nothing has none."""
        if self.parent_run_id is None or not self._owns_parent:
            return
        self._links(store).used(self.parent_run_id, once(stages))
        for name, manifest, hit, _ in once(stages):
            if hit:
                self.client.set_tag(self.parent_run_id, f"stage.{name}.cached", "true")
                self.client.set_tag(self.parent_run_id, f"stage.{name}.run_id", manifest.mlflow_run_id or "")
        self.client.set_terminated(self.parent_run_id, "FAILED" if failed else "FINISHED")

    @_guarded
    def log_report(self, page: str, markdown: str, headline: Mapping[str, float] = MappingProxyType({})) -> None:
        """A report on the parent run: its page as an artifact, its text as the description, main numbers as metrics."""
        if self.parent_run_id is None:
            return
        log_numbers(self.client, self.parent_run_id, headline)
        self.client.log_artifact(self.parent_run_id, page)
        self.client.set_tag(self.parent_run_id, NOTE, note(self.note, markdown))

    @_guarded
    def page(self, run_id: str) -> str:
        """Address of a run's page; empty where no server is known to serve it."""
        # A pipeline that built nothing has no need of MLflow, nor of the seconds that it takes to import.
        return mlflow_page(self.settings, run_id, self.experiment_id if self.parent_run_id else "")

    def logged_model(self, ref: ArtifactRef, store: Store) -> str:
        """Id of the LoggedModel of a model artifact. Raises, unlike the rest: it must be seen."""
        return self._links(store).model(ref)

    def _links(self, store: Store) -> Links:
        return Links(self.client, self.experiment_id, store)
