"""The base model as an artifact that points at its files instead of copying them."""

from tasks.shared.models.config import ModelConfig, ModelIdentity
from tasks.shared.models.resolve import ResolvedModel, resolve
from tasks.spine.stage.call import Stage
from tasks.spine.stage.context import run_context
from tasks.spine.stage.plan import is_outline, settings_digest
from tasks.spine.stage.stage import Build
from tasks.spine.stage.task import StageTask
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.runtime import Runtime

MODEL = Stage("model", version=2, kind="model")


def import_model(config: ModelConfig, runtime: Runtime, *, classifies: bool = False) -> ArtifactRef:
    """The artifact of a base model, known by the digest of its files; a name that moves makes a new one.

    Args:
        classifies: it is to give sequences a score, not to write text.
    """
    if config.source.startswith("model/"):
        return run_context().store.ref(config.source)
    if is_outline():
        return StageTask(MODEL, lambda *_: None)(ModelIdentity(digest=settings_digest(config)), runtime)
    trusts = runtime.trust_remote_code
    model = resolve(config, run_context().settings, classifies=classifies, trust_remote_code=trusts)

    def body(build: Build, identity: ModelIdentity) -> None:
        build.record(
            external=str(model.path),
            files=model.files,
            summary=_facts(model),
            rows={"parameters": model.parameters},
        )

    return StageTask(MODEL, body)(ModelIdentity(digest=model.digest), runtime, label=model.name)


def _facts(model: ResolvedModel) -> dict[str, str | int]:
    return {"source": model.name, "parameters": model.parameters}
