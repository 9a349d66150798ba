"""Load a corpus and split it by document."""

from typing import Annotated, Literal

from pydantic import Field

from flows.pipeline.forms import Force, RmtName, RmtOverrides
from flows.pipeline.run import flow, stage_run
from tasks.recipe.rmt import RmtRecipe
from tasks.spine.store.ref import ArtifactRef
from tasks.texts.task import load_texts

Which = Annotated[
    Literal["texts", "evaluation_texts", "chains"],
    Field(description="Those of the recipe's second domain, or its long chains; `texts` where it has none."),
]


@flow(name="texts", flow_run_name="texts: {which}")
def texts(
    recipe: RmtName = "tiny-cpu-rmt",
    which: Which = "texts",
    force: Force = False,
    overrides: RmtOverrides | None = None,
) -> ArtifactRef:
    """Read texts, give every document a stable id, hold some out, list what is rejected."""
    with stage_run("texts", recipe, overrides, RmtRecipe) as run:
        return load_texts(getattr(run.settings, which) or run.settings.texts, run.runtime, force=force)
