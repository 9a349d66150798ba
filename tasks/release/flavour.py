"""A model's files in MLflow's registry, as `mlflow.transformers.load_model` reads them."""

import tempfile
from pathlib import Path

from tasks.release.export import model_content
from tasks.spine.store.manifest import Manifest
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.store import Store
from tasks.spine.tracking.tracker import Tracker

MLMODEL, WEIGHTS, TOKENIZER = "MLmodel", "model", "components/tokenizer"
"""Names under which MLflow looks for its description, the model, and the tokenizer."""


def add_files(tracker: Tracker, store: Store, trained: ArtifactRef) -> None:
    """Copy a model's files into its LoggedModel; once, for the description that makes them loadable is written last.

    They are a copy, so that who loads a version needs MLflow alone and no way to the store.
    """
    client, model_id = tracker.client, tracker.logged_model(trained, store)
    manifest = store.manifest(trained)
    if any(item.path == MLMODEL for item in client.list_logged_model_artifacts(model_id)):
        return
    files, card = model_content(store, manifest, licence="")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for place in (WEIGHTS, TOKENIZER):
            for name, source in files.items():
                if place == WEIGHTS or not name.endswith((".safetensors", ".safetensors.index.json")):
                    (root / place / name).parent.mkdir(parents=True, exist_ok=True)
                    # What is uploaded is the file behind the link.
                    (root / place / name).symlink_to(source.absolute())
        (root / "README.md").write_text(card, encoding="utf-8")
        client.log_model_artifacts(model_id, folder)
        description = root / MLMODEL
        _describe(manifest, model_id, description)
        client.log_model_artifact(model_id, str(description))


def _describe(manifest: Manifest, model_id: str, file: Path) -> None:
    """Write MLflow's description of a text generator that transformers loads by its own configuration."""
    from mlflow.models import Model

    model = Model(model_id=model_id)
    model.add_flavor(
        "transformers",
        task="text-generation",
        instance_type="TextGenerationPipeline",
        pipeline_model_type="AutoModelForCausalLM",
        source_model_name=str(manifest.ref),
        model_binary=WEIGHTS,
        components=["tokenizer"],
        tokenizer_type="AutoTokenizer",
        transformers_version=manifest.versions.get("transformers", ""),
    )
    model.save(str(file))
