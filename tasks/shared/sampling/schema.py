"""Files that pass between a stage, the worker and the pool: tables, and the worker's job."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from tasks.config import Frozen
from tasks.shared.engines.prompt_form import PromptForm
from tasks.shared.engines.protocol import Sampling
from tasks.spine.store.runtime import Runtime

SAMPLES_FILE = "samples.parquet"
PROMPTS_FILE = "prompts.parquet"
ENDED, TRUNCATED, REJECTED = "stop", "length", "rejected"
"""Finish reasons of samples: whole, cut, and no text that can be stored as it came."""


def _columns(**types: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in types.items()])


SAMPLES = _columns(
    key=pa.string(),
    question_id=pa.string(),
    heuristic=pa.string(),
    sample_index=pa.int32(),
    completion=pa.string(),
    finish_reason=pa.string(),
    prompt_tokens=pa.int32(),
    completion_tokens=pa.int32(),
    engine=pa.string(),
)
"""One candidate a row, sorted by question id. `heuristic` is empty for the plain prompt, `finish_reason` is `stop`,
`length` (truncated) or `rejected`, `sample_index` -1 is the greedy one."""

PROMPTS = _columns(question_id=pa.string(), heuristic=pa.string(), prompt=pa.string())
"""Every rendered prompt, the plain one (`heuristic` empty) of each question included."""

RENDERED = _columns(question_id=pa.string(), question=pa.string(), heuristic=pa.string(), text=pa.string())
"""The fields of `Prompt`: the prompts that a stage wants answered, rendered once, in the order it wants them."""

WANTED = _columns(
    key=pa.string(),
    question_id=pa.string(),
    heuristic=pa.string(),
    sample_index=pa.int32(),
    prompt=pa.string(),
    seed=pa.int64(),
)
"""Samples that are to be made, in the order in which a stage wants them."""

POOLED = _columns(
    key=pa.string(),
    completion=pa.string(),
    finish_reason=pa.string(),
    prompt_tokens=pa.int32(),
    completion_tokens=pa.int32(),
    engine=pa.string(),
)
"""A row of the pool."""


def asked(form: PromptForm, sampling: Sampling) -> dict[str, Any]:
    """How a model was asked, for a stage's summary: what a reader has to know to judge its answers."""
    return {
        "prompt_style": form.style,
        "max_new_tokens": sampling.max_new_tokens,
        "temperature": sampling.temperature,
    }


def graded_text(sample: Mapping[str, Any], form: PromptForm) -> str:
    """The text in which a sample's answer is looked for; one that is not whole has none, whatever it contains."""
    return form.graded(str(sample["completion"]), whole=sample["finish_reason"] == ENDED)


class SampleSetJob(Frozen):
    """Samples under one sampling."""

    wanted: Path
    """Parquet file of schema `WANTED`; what the pool has already is skipped."""
    pool: str
    """Address of the pool folder."""
    sampling: Sampling


class SamplingJob(Frozen):
    """One engine start, any number of sample sets; the parent writes it, the worker reads it."""

    model: Path
    """Folder with weights and tokenizer."""
    sets: tuple[SampleSetJob, ...]
    asks_for_more: bool = False
    """Whether the worker asks for further sets (`MoreSets`) when these are there, until it is given none."""
    runtime: Runtime
    form: PromptForm
    """How the prompts are made."""
    response_format: dict[str, Any] | None = None
    """Form of all answers that a server is asked for, as OpenAI's API writes it; None: free text."""
    flush_s: float = 30.0
    """Seconds after which finished completions are written even if a batch is not full. Ours."""


class MoreSets(Frozen):
    """What a worker that asks for more gets."""

    sets: tuple[SampleSetJob, ...] = ()
