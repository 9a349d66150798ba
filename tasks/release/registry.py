"""Trained models in MLflow's registry: every one a `candidate` in its turn, the best one `champion`."""

from contextlib import suppress
from typing import TYPE_CHECKING

from tasks.errors import Permanent
from tasks.release.outcome import Decision
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.store import Store
from tasks.spine.tracking.tracker import Tracker

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CANDIDATE, CHAMPION = "candidate", "champion"
EVALUATION, LABEL = "midtrain.evaluation", "midtrain.label"


def champion(client: "MlflowClient", name: str) -> "ModelVersion | None":
    """The version that leads a line; None where there is none."""
    from mlflow.exceptions import MlflowException

    with suppress(MlflowException):
        return client.get_model_version_by_alias(name, CHAMPION)
    return None


def check(tracker: Tracker, name: str) -> None:
    """Try, before any work, what `register` needs after it: the experiment, and the line's place in the registry.

    Raises:
        Permanent: MLflow is not there, or does not take them.
    """
    try:
        _ = tracker.experiment_id
        _open(tracker.client, name)
    except Exception as error:  # clients of databases and of servers raise what they like
        raise Permanent(f"MLflow (MIDTRAIN_TRACKING_URI) could not take the release {name!r}: {error}") from error


def register(
    tracker: Tracker, store: Store, name: str, *, trained: ArtifactRef, evaluation: ArtifactRef, label: str
) -> "ModelVersion":
    """The version of a trained model, made once, now the line's `candidate`."""
    import mlflow

    client = tracker.client
    _open(client, name)
    versions = [
        item for item in client.search_model_versions(f"name = '{name}'") if item.tags.get("digest") == trained.digest
    ]
    if versions:
        version = versions[0]
    else:
        model_id = tracker.logged_model(trained, store)
        manifest = store.manifest(trained)
        tags = {
            "digest": trained.digest,
            "artifact": str(trained),
            "uri": store.place(manifest),
            EVALUATION: str(evaluation),
            LABEL: label,
        }
        # MLflow looks the model of a version up at its own address, not at the client's.
        mlflow.set_tracking_uri(tracker.settings.mlflow_uri)
        version = client.create_model_version(name, source=f"models:/{model_id}", model_id=model_id, tags=tags)
    client.set_registered_model_alias(name, CANDIDATE, version.version)
    return version


def record(client: "MlflowClient", name: str, version: "ModelVersion", decision: Decision) -> None:
    """Write the decision beside the version, and move `champion` where it says so."""
    tags = {"midtrain.decision": CHAMPION if decision.promote else CANDIDATE, "midtrain.reason": decision.reason}
    for key in ("difference", "low", "high", "p_value"):
        if getattr(decision, key) is not None:
            tags[f"midtrain.{key}"] = f"{getattr(decision, key):.6g}"
    for key, value in tags.items():
        client.set_model_version_tag(name, version.version, key, value)
    client.update_model_version(name, version.version, description=decision.reason)
    if decision.promote:
        client.set_registered_model_alias(name, CHAMPION, version.version)


def _open(client: "MlflowClient", name: str) -> None:
    """The registered model of a line, made where there is none."""
    from mlflow.exceptions import MlflowException

    with suppress(MlflowException):
        client.create_registered_model(name, description="Base models through one recipe, compared with each other.")
    client.get_registered_model(name)
