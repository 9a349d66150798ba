"""Checks that an entropy table belongs to the model that will be trained."""

from tasks.errors import Permanent
from tasks.schedule.config import ScheduleConfig
from tasks.spine.store.manifest import Manifest
from tasks.spine.store.ref import ArtifactRef


def check_entropy(config: ScheduleConfig, entropy: Manifest, model: ArtifactRef, tokenizer_digest: str) -> None:
    """Refuse an entropy table of another model, unless a proxy is asked for, and one of other tokens always.

    Args:
        entropy: manifest of the entropy artifact; its parent `model` is the model it was computed under.
        model: the policy that will be trained.
        tokenizer_digest: digest of the policy's tokenizer.

    Raises:
        Permanent: naming both digests and what to do.
    """
    source = entropy.parents["model"]
    if config.entropy_model == "policy" and source.digest != model.digest:
        raise Permanent(
            f"{entropy.ref} holds the entropy of model {source} (digest {source.digest}), and the model to train is "
            f"{model} (digest {model.digest}); compute the entropy under that model, or set "
            "schedule.entropy_model='proxy' to take another model's on purpose"
        )
    entropy_tokenizer = entropy.summary["tokenizer_digest"]
    if entropy_tokenizer != tokenizer_digest:
        raise Permanent(
            f"{entropy.ref} holds tokens of another tokenizer than the policy's: model {source} has tokenizer digest "
            f"{entropy_tokenizer}, and {model}, which is to be trained, has {tokenizer_digest}; take the policy "
            "itself, or a proxy with the same tokenizer"
        )
