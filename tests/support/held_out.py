"""A store with held-out documents, their entropy under a base model, and another checkpoint."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tasks.config import Frozen
from tasks.entropy.config import EntropyConfig
from tasks.entropy.read import read_documents
from tasks.entropy.task import compute_entropy
from tasks.predict.config import PredictConfig, PredictionSampling
from tasks.predict.schema import PREDICTIONS_FILE
from tasks.predict.task import predict
from tasks.shared.next_token.config import PredictionPrompt
from tasks.shared.next_token.method import TierConfig
from tasks.shared.tables.parquet import Row, read_rows
from tasks.spine.stage.call import Stage, StageCall
from tasks.spine.stage.stage import Build, ensure
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.runtime import Runtime
from tasks.spine.store.store import Store
from tests.bench.bare import Silent
from tests.support.bare_home import bare_home
from tests.support.corpus import texts, write_texts
from tests.support.thinking_model import save_thinking_model

RUNTIME = Runtime(device="cpu", engine="transformers", num_threads=1)
PROMPT = PredictionPrompt(
    style="plain",
    template="{context}\n[{budget}]<think>",
    template_without_budget="{context}\n[]<think>",
    prediction="bare",
)


class Numbered(Frozen):
    """Tells parents of one kind apart."""

    number: int = 0


@dataclass
class Held:
    """References, and the store that they are in."""

    store: Store
    entropy: ArtifactRef
    base: ArtifactRef
    trained: ArtifactRef
    config: PredictConfig

    def predict(self, model: ArtifactRef, **changes: Any) -> ArtifactRef:
        """A prediction with some settings changed."""
        config = PredictConfig.model_validate(self.config.model_dump() | changes)
        return predict(config, RUNTIME, entropy=self.entropy, model=model)

    def pooled(self) -> Counter[str]:
        """Keys in all pools, as often as they were generated."""
        batches = Path(self.store.files.full("pool")).glob("*/*.parquet")
        return Counter(row["key"] for path in batches for row in read_rows(path, ["key"]))

    def rows(self, ref: ArtifactRef) -> list[Row]:
        """The table of a prediction."""
        return list(read_rows(self.store.local(ref) / PREDICTIONS_FILE))


@contextmanager
def held_out(home: Path) -> Iterator[Held]:
    """A store in `home` with documents, two checkpoints and the entropy of the documents under the first."""
    with bare_home(home):

        def write(build: Build, config: Numbered) -> None:
            write_texts(build.out, texts(8, seed=1), texts(24, seed=2))

        def model(build: Build, config: Numbered) -> None:
            save_thinking_model(build.out, seed=config.number)

        corpus = make("texts", "texts", write, Numbered())
        base, trained = (make("model", "model", model, Numbered(number=number)) for number in (0, 1))
        settings = EntropyConfig(context_tokens=48, overlap_tokens=16)
        entropy = compute_entropy(settings, RUNTIME, texts=corpus, model=base)
        store = Store.open()
        yield Held(store, entropy, base, trained, _config(store.local(entropy)))


def _config(entropy: Path) -> PredictConfig:
    """Tiers that are all there under a model without skill, whose entropies lie close together."""
    values = np.concatenate([found.entropy[1:] for found in read_documents(entropy, "evaluation")])
    low, middle, high = (float(np.quantile(values, share)) for share in (0.2, 0.5, 0.8))
    return PredictConfig(
        tiers=TierConfig(easy=low, medium=middle, hard=high),
        prediction_prompt=PROMPT,
        budget_tokens=12,
        documents=16,
        positions_per_tier=24,
        samples=3,
        sampling=PredictionSampling(temperature=1.0, max_new_tokens=24),
        max_prompt_tokens=120,
        resamples=200,
    )


def make(stage: str, kind: str, body: Any, config: Numbered) -> ArtifactRef:
    """Publish what `body` makes."""
    return ensure(StageCall(Stage(stage, 1, kind), body, config, Runtime(), {}), watcher=Silent()).manifest.ref
