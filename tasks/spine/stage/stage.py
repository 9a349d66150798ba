"""The anatomy of a stage: look up, lease, build, publish. Knows nothing of Prefect or MLflow."""

import logging
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel

from tasks.errors import Permanent
from tasks.spine.stage.call import Stage, StageCall
from tasks.spine.stage.context import run_context
from tasks.spine.stage.gpus import gpus_for_worker
from tasks.spine.stage.launch import OnLine, check_stop, run_worker
from tasks.spine.stage.threads import ProgressOfAll, in_threads
from tasks.spine.stage.worker import is_disk_full
from tasks.spine.store.manifest import FileEntry, Manifest, SourceTable, TrainedRows, git_commit, package_versions
from tasks.spine.store.ref import SHORT, ArtifactRef
from tasks.spine.store.runtime import Runtime
from tasks.spine.store.settings import Settings
from tasks.spine.store.store import Store

log = logging.getLogger(__name__)

LEASE_POLL_S = 0.5


class Watcher(Protocol):
    """What wants to know how a stage fares: progress bars, MLflow. It must never raise."""

    def started(self, build: "Build") -> str | None:
        """A build begins; returns the id of the run that tracks it, if any."""

    def progress(self, line: dict[str, Any]) -> None:
        """A progress line of a worker: done, total, unit, values."""

    def metrics(self, line: dict[str, Any]) -> None:
        """A metrics line of a worker: step, time, values."""

    def finished(self, manifest: Manifest | None) -> None:
        """The build was published, or failed (None)."""


@dataclass
class Build:
    """What a stage's body works with while it makes one artifact."""

    call: StageCall
    store: Store
    work: Path
    """Local folder named by the fingerprint: survives a crash, so that a rerun resumes; removed after publishing."""
    watcher: Watcher
    manifest_fields: dict[str, Any] = field(default_factory=lambda: {"pools": ()})

    @property
    def out(self) -> Path:
        """Local folder whose content becomes the artifact."""
        return self.work / "out"

    @property
    def stage(self) -> Stage:
        """The stage that is being built."""
        return self.call.stage

    @property
    def runtime(self) -> Runtime:
        """Where and how the stage runs."""
        return self.call.runtime

    @property
    def parents(self) -> Mapping[str, ArtifactRef]:
        """Artifacts that this one is made from, by role."""
        return self.call.parents

    def path(self, role: str) -> Path:
        """Local folder with the files of the parent in that role."""
        return self.store.local(self.parents[role])

    def parent(self, role: str) -> Manifest:
        """Manifest of the parent in that role."""
        return self.store.manifest(self.parents[role])

    def worker(
        self,
        module: str,
        job: BaseModel,
        *,
        name: str = "worker",
        prefix: Sequence[str] = (),
        gpus: int = 1,
        on_progress: OnLine | None = None,
        answer: Callable[[], dict[str, Any]] = dict,
    ) -> dict[str, Any]:
        """Run a worker process in a folder of this build and return its result; progress and metrics are passed on.

        Args:
            on_progress: told of the progress instead of the watcher.
            answer: says what is next to a worker that asks.
            gpus: GPUs that the worker sees. Behind a launcher (`prefix`) it sees one for each process, or all where a
                configuration of the user's own says how many processes there are.
        """
        runtime = self.runtime
        seen = (None if runtime.accelerate_config else runtime.num_processes) if prefix else gpus
        with gpus_for_worker(seen) as visible:
            return run_worker(
                module,
                job,
                self.work / name,
                timeout_s=runtime.timeout_s,
                on_progress=on_progress or self.watcher.progress,
                on_metrics=self.watcher.metrics,
                answer=answer,
                env=visible | ({"OMP_NUM_THREADS": str(runtime.num_threads)} if runtime.num_threads else {}),
                prefix=prefix,
            )

    def workers(self, module: str, jobs: Sequence[BaseModel], *, name: str) -> list[dict[str, Any]]:
        """Run a worker for each job, all at the same time; what they have done adds up to one progress.

        If one fails, the others are finished before its error is raised.
        """
        if len(jobs) == 1:
            return [self.worker(module, jobs[0], name=name)]
        together = ProgressOfAll(self.watcher.progress)

        def run(number: int) -> dict[str, Any]:
            return self.worker(module, jobs[number], name=f"{name}-{number}", on_progress=together.of(number))

        return in_threads(run, range(len(jobs)), len(jobs))

    def progress(self, done: int, total: int, unit: str, **values: float) -> None:
        """Report progress of work that the body does itself."""
        self.watcher.progress({"done": done, "total": total, "unit": unit, "values": values})

    def record(
        self,
        *,
        rows: Mapping[str, int] | None = None,
        ledger: Mapping[str, int] | None = None,
        summary: Mapping[str, Any] | None = None,
        external: str | None = None,
        facts: Mapping[str, str] | None = None,
        measured_on: Mapping[str, str] | None = None,
        files: Sequence[FileEntry] = (),
        pools: Sequence[str] = (),
        sources: Sequence[SourceTable] = (),
        trained_on: Sequence[TrainedRows] = (),
    ) -> None:
        """Put small facts into the manifest: row counts, the ledger, the summary that reports read, and what lineage
        and garbage collection go by; what several calls record adds up. `files` are those that an external artifact is
        known by, where these are not all below it.
        """
        given = {"rows": rows, "ledger": ledger, "summary": summary, "external": external}
        for name, value in {**given, "facts": facts, "measured_on": measured_on}.items():
            if isinstance(value, Mapping):
                self.manifest_fields[name] = {**self.manifest_fields.get(name, {}), **value}
            elif value is not None:
                self.manifest_fields[name] = value
        for name, items in {"files": files, "pools": pools, "sources": sources, "trained_on": trained_on}.items():
            self.manifest_fields[name] = tuple(dict.fromkeys((*self.manifest_fields.get(name, ()), *items)))


@dataclass
class Outcome:
    """A stage's artifact, and whether this call made it."""

    manifest: Manifest
    hit: bool


def ensure(call: StageCall, *, watcher: Watcher, settings: Settings | None = None) -> Outcome:
    """The artifact of a stage call: found in the store, or built, published and then found.

    A second run of the same stage waits for the first (a lease with heartbeat) and takes what it made. With
    `call.force` the artifact is built again even if it is there.
    """
    settings = settings or run_context().settings
    store = Store.open(settings)
    stage, key = call.stage, call.key
    lease = store.lease(stage.kind, key, call.runtime.lease_timeout_s)
    waited = False
    while True:
        manifest = store.find(stage.kind, key)
        if manifest is not None and (waited or not call.force):
            return Outcome(manifest, hit=True)
        if lease.try_acquire():
            break
        if not waited:
            log.warning("%s %s is being built by %s; waiting for it", stage.name, key[:SHORT], lease.holder())
        waited = True
        check_stop()
        time.sleep(LEASE_POLL_S)
    with lease.held():
        manifest = None if call.force else store.find(stage.kind, key)
        if manifest is not None:
            return Outcome(manifest, hit=True)
        work = settings.work / f"{stage.name}-{key[:SHORT]}"
        return Outcome(_build(Build(call, store, work, watcher)), hit=False)


def _build(build: Build) -> Manifest:
    """Run the body in a clean output folder and publish what it left there."""
    call, stage = build.call, build.stage
    shutil.rmtree(build.out, ignore_errors=True)
    build.out.mkdir(parents=True)
    started = time.monotonic()
    manifest = None
    run_id = build.watcher.started(build)
    try:
        call.body(build, call.config)
        external = build.manifest_fields.get("external")
        if not external and not any(build.out.iterdir()):
            raise Permanent(f"stage {stage.name} wrote nothing into {build.out}")
        manifest = build.store.publish(
            Path(external) if external else build.out,
            kind=stage.kind,
            stage=stage.name,
            version=stage.version,
            fingerprint=call.key,
            payload=call.payload,
            parents=dict(call.parents),
            git_commit=git_commit(),
            versions=package_versions(),
            mlflow_run_id=run_id,
            seconds=round(time.monotonic() - started, 3),
            **build.manifest_fields,
        )
    except OSError as error:
        if not is_disk_full(error, build.work):
            raise
        raise Permanent(_disk_full(build, error)) from error
    finally:
        shutil.rmtree(build.out if manifest is None else build.work, ignore_errors=True)
        build.watcher.finished(manifest)
    return manifest


def _disk_full(build: Build, error: OSError) -> str:
    """Which of the places that a build writes to is full, and what to do."""
    places = [build.work, *([Path(build.store.files.root)] if build.store.files.is_local else [])]
    free = {place: shutil.disk_usage(place).free for place in places if place.is_dir()}
    place = min(free, key=free.__getitem__)
    return (
        f"stage {build.stage.name}: no space left in {place} ({free[place] / 1e6:.1f} MB free): {error}. "
        "Make room there and run again; finished stages, samples and checkpoints are kept"
    )
