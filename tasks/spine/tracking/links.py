"""What a stage's run in MLflow is tied to: settings, datasets, models, scores."""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.spine.store.fingerprint import canonical
from tasks.spine.store.manifest import OWN, Manifest
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.store import Store
from tasks.spine.tracking.journal import StageRecord
from tasks.spine.tracking.terms import dataset_of, flatten, model_name, scores
from tasks.text import without_passwords

if TYPE_CHECKING:
    from mlflow import MlflowClient

MOST_METRICS = 1000
"""Metrics that MLflow takes in one call."""


def log_params(client: "MlflowClient", run_id: str, config: Any) -> None:
    """Settings, flat."""
    from mlflow.entities import Param
    from mlflow.utils.validation import MAX_PARAM_VAL_LENGTH, MAX_PARAMS_TAGS_PER_BATCH

    values = {key: without_passwords(str(value)) for key, value in flatten(canonical(config)).items()}
    params = [Param(key, value[:MAX_PARAM_VAL_LENGTH]) for key, value in values.items()]
    for start in range(0, len(params), MAX_PARAMS_TAGS_PER_BATCH):
        client.log_batch(run_id, params=params[start : start + MAX_PARAMS_TAGS_PER_BATCH])


def log_curves(client: "MlflowClient", run_id: str, lines: Sequence[Mapping[str, Any]]) -> None:
    """Metric lines of a worker (step, time, values), without waiting until they are written."""
    from mlflow.entities import Metric

    metrics = [
        Metric(key, float(value), int(line["time"] * 1000), int(line["step"]))
        for line in lines
        for key, value in line["values"].items()
        if value is not None
    ]
    for start in range(0, len(metrics), MOST_METRICS):
        client.log_batch(run_id, metrics=metrics[start : start + MOST_METRICS], synchronous=False)


def log_numbers(client: "MlflowClient", run_id: str, values: Mapping[str, float]) -> None:
    """Metrics that have one value."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    client.log_batch(run_id, metrics=[Metric(key, value, now, 0) for key, value in values.items()])


@dataclass(frozen=True)
class Links:
    """Writes links between runs, datasets and models of one experiment."""

    client: "MlflowClient"
    experiment_id: str
    store: Store

    def inputs(self, run_id: str, parents: Mapping[str, ArtifactRef]) -> None:
        """What a stage reads, by role."""
        from mlflow.entities import LoggedModelInput

        for role, ref in parents.items():
            if ref.kind == "model":
                self.client.log_inputs(run_id, models=[LoggedModelInput(self.model(ref))])
            else:
                self.dataset(run_id, self.store.manifest(ref), context=role)

    def dataset(self, run_id: str, manifest: Manifest, context: str) -> None:
        """An artifact that is no model, under a role."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        source = {"uri": without_passwords(self.store.files.full(f"{manifest.ref.path}/{manifest.data}"))}
        dataset = Dataset(*dataset_of(manifest), "local", json.dumps(source), profile=json.dumps(manifest.rows))
        tags = [InputTag("mlflow.data.context", context)]
        self.client.log_inputs(run_id, datasets=[DatasetInput(dataset, tags)])

    def model(self, ref: ArtifactRef, run_id: str | None = None, label: str = "") -> str:
        """Id of a model artifact's LoggedModel; made once per content digest, by `run_id`, named by `label`."""
        found = self.client.search_logged_models([self.experiment_id], f"tags.digest = '{ref.digest}'", max_results=1)
        if found:
            return found[0].model_id
        manifest = self.store.manifest(ref)
        uri = without_passwords(self.store.place(manifest))
        tags = {"digest": ref.digest, "uri": uri, "artifact": str(ref), "stage": manifest.stage}
        name = model_name(label or manifest.stage, ref)
        model = self.client.create_logged_model(self.experiment_id, name=name, source_run_id=run_id, tags=tags)
        return self.client.finalize_logged_model(model.model_id, "READY").model_id

    def counts(self, run_id: str, manifest: Manifest) -> None:
        """Rows and ledger as JSON in tags: each metric of one value would be drawn as a chart of its own."""
        for name, counts in (("rows", manifest.rows), ("ledger", manifest.ledger)):
            if counts:
                self.client.set_tag(run_id, f"midtrain.{name}", json.dumps(counts))

    def used(self, run_id: str, records: Iterable[StageRecord]) -> None:
        """What the models of a run learnt from and were asked: what its stages brought in or trained on."""
        manifests = [record.manifest for record in records]
        trained = {item.parents[rows.role] for item in manifests for rows in item.trained_on if rows.role != OWN}
        for manifest in manifests:
            if manifest.sources or manifest.ref in trained:
                self.dataset(run_id, manifest, context=manifest.stage)

    def scores(self, run_id: str, manifest: Manifest) -> None:
        """Scores, tied to the model and to what it was asked about."""
        from mlflow.entities import Metric

        found, ref = list(scores(manifest, self.store)), manifest.parents.get("model")
        model_id = self.model(ref) if found and ref else None
        now = int(time.time() * 1000)
        metrics = [Metric(key, value, now, 0, model_id, *dataset) for key, value, dataset in found]
        self.client.log_batch(run_id, metrics=metrics)
