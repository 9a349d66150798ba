"""Load a corpus and split it by document."""

from prefect import flow

from flows.base import FLOW_OPTIONS, Force, RmtName, RmtOverrides, pipeline
from tasks.artifacts.ref import ArtifactRef
from tasks.recipe.loading import load
from tasks.recipe.rmt import RmtRecipe
from tasks.texts.task import load_texts


@flow(name="texts", flow_run_name="texts-{recipe}", **FLOW_OPTIONS)
def texts(recipe: RmtName = "tiny-cpu-rmt", force: Force = False, overrides: RmtOverrides | None = None) -> ArtifactRef:
    """Read texts, give every document a stable id, hold some out, list what is rejected."""
    settings = load(RmtRecipe, recipe, overrides)
    with pipeline("texts", {"recipe": recipe}):
        return load_texts(settings.texts, settings.runtime, force=force)
