"""The stage as a Prefect task: tags added, drafts from the sample pool, rows fitted, then the trainer of `midtrain`."""

import logging
from collections.abc import Iterator, Sequence
from itertools import islice
from statistics import fmean
from typing import Any

from tasks.midtrain.config import MidtrainConfig, MidtrainJob
from tasks.shared.engines.prompt_form import PromptForm
from tasks.shared.engines.tokens import context_length
from tasks.shared.next_token.prompts import PredictionRenderer
from tasks.shared.sampling.sampler import fill
from tasks.shared.sampling.wanted import Prompt, Wanted
from tasks.shared.tables.parquet import read_rows, write_parquet
from tasks.shared.training.accelerate import launcher
from tasks.shared.training.config import train_job_fields
from tasks.shared.training.curve import Point
from tasks.spine.stage.call import Stage
from tasks.spine.stage.stage import Build
from tasks.spine.stage.task import stage_task
from tasks.spine.store.manifest import OWN, TrainedRows
from tasks.think_tags.config import RowJob, TagJob, ThinkTagsConfig
from tasks.think_tags.examples import EXAMPLES, EXAMPLES_FILE, ExampleWriter, Place

THINK_TAGS = Stage("think_tags", version=2, kind="model", pool="gpu", trains=True)
TRAINED_ON = TrainedRows(role=OWN, path=EXAMPLES_FILE, id_column="question_id", method="think tags")
DRAFTS = "drafts"
"""Name of the one set of samples."""
SHOWN = 4
"""Examples in the manifest, for people to read."""
MOST_RISE = 0.3
"""Nats by which the entropy of the examples' tokens may rise before it is said (ours)."""

log = logging.getLogger(__name__)


@stage_task(THINK_TAGS)
def add_think_tags(build: Build, config: ThinkTagsConfig) -> None:
    """Give the parent `model` think tags, and teach it their form on documents of the parent `texts`."""
    trust, prompt = build.runtime.trust_remote_code, config.prediction_prompt
    tagged = build.work / "tagged"
    tags = (prompt.open_tag, prompt.close_tag)
    job = TagJob(model=build.path("model"), out=tagged, tags=tags, trust_remote_code=trust)
    facts = build.worker("tasks.think_tags.worker", job, name="tags")
    renderer = PredictionRenderer.for_model(prompt, tagged, trust_remote_code=trust)
    writer = ExampleWriter(config, renderer, context_length(tagged, trust_remote_code=trust))
    places = writer.places(build.path("texts"))
    drafted = fill(build, _drafts(config, places)).rows(DRAFTS)
    rows = writer.examples(places, (sample["completion"] for sample in drafted))
    write_parquet(rows, build.out / EXAMPLES_FILE, EXAMPLES)
    if facts["added"]:
        fitted = build.work / "fitted"
        # A tag that the model had keeps its row.
        job = RowJob(
            model=tagged, out=fitted, tags=facts["added"], trust_remote_code=trust, examples=build.out / EXAMPLES_FILE,
            form=renderer.form, config=config, runtime=build.runtime,
        )  # fmt: skip
        facts |= build.worker("tasks.think_tags.rows", job, name="rows")
        tagged = fitted
    training = MidtrainJob(
        **{**train_job_fields(build, data=build.out / EXAMPLES_FILE), "model": tagged},
        config=MidtrainConfig(**{name: getattr(config, name) for name in MidtrainConfig.model_fields}),
        form=renderer.form,
        whole=True,
        section=THINK_TAGS.name,
    )
    result = build.worker("tasks.midtrain.worker", training, prefix=launcher(build.runtime))
    if (rise := entropy_rise(result["curve"])) > MOST_RISE:
        log.warning(
            "think_tags made the model less sure of every token: entropy rose by %.2f nats over the SFT, so that tiers "
            "mean little; lower think_tags.learning_rate=%g, or train adapters (think_tags.lora)",
            rise,
            config.learning_rate,
        )
    build.record(
        rows={"examples": writer.counts["examples"], "steps": result["steps"]},
        ledger={**writer.ledger(), "trained_tokens": result["ledger"]["trained_tokens"]},
        summary={
            **facts,
            **{name: result[name] for name in ("curve", "seconds", "resumed_from_step")},
            "entropy_rise": round(rise, 3),
            "shown": _shown(read_rows(build.out / EXAMPLES_FILE)),
        },
        trained_on=[TRAINED_ON],
    )


def entropy_rise(curve: Sequence[Point]) -> float:
    """Mean entropy in nats over the last tenth of a training's steps, less that over the first."""
    part = max(1, len(curve) // 10)
    first, last = ([point["entropy"] for point in points] for points in (curve[:part], curve[-part:]))
    return fmean(last) - fmean(first)


def _drafts(config: ThinkTagsConfig, places: list[Place]) -> Wanted[Place]:
    """The base model's own continuation of each context, as plain text."""

    def prompts(place: Place) -> list[Prompt]:
        return [Prompt(f"{place.document_id}:{place.position}", "", "", place.context)]

    return Wanted(
        sources={DRAFTS: places},
        render=prompts,
        samplings=(config.drafts,),
        num_samples=1,
        seed=config.seed,
        form=PromptForm(),
    )


def _shown(rows: Iterator[dict[str, Any]]) -> list[dict[str, str]]:
    return [{name: row[name][-400:] for name in ("prompt", "completion")} for row in islice(rows, SHOWN)]
