"""Address and identity of the base model that a pipeline starts from."""

from pathlib import Path

from pydantic import Field

from tasks.config import Frozen

EMBEDDED = "embedded"
"""Source of the model of the small world, which ships with this package."""
EMBEDDED_THINK = "embedded-thinking"
"""Source of the small world's model that thinks before it predicts; it ships with this package too."""
EMBEDDED_OVERTHINK = "embedded-overthinking"
"""Source of the small world's model that thinks far longer than it has to; it ships with this package too."""


class ModelConfig(Frozen):
    """Address of the base model. None of this is its identity: `resolve` turns it into a `ModelIdentity`."""

    source: str = Field(EMBEDDED, min_length=1)
    """`embedded`, `embedded-thinking` or `embedded-overthinking`, a local folder, a Hugging Face id (`org/name`),
    `s3://...`, or an artifact (`model/3f2a9c...`)."""
    revision: str = ""
    """Hub only: branch, tag or commit; it is resolved to a commit. Empty: the default branch."""


class ModelIdentity(Frozen):
    """Identity of a base model: the hash of its weights, configuration and tokenizer files."""

    digest: str


class ModelCheckJob(Frozen):
    """A model folder that is looked at before any stage takes it."""

    folder: Path
    classifies: bool = False
    """It is to give sequences a score, not to write text."""
    trust_remote_code: bool
    """Run model code that ships with the folder."""
