"""Files that pass between a stage, the worker and the pool: tables, and the worker's job."""

from pathlib import Path

import pyarrow as pa

from tasks.config import Frozen
from tasks.shared.engines.prompt_form import PromptForm
from tasks.shared.engines.protocol import Sampling
from tasks.shared.tables.parquet import Row
from tasks.spine.store.runtime import Runtime

SAMPLES_FILE = "samples.parquet"
PROMPTS_FILE = "prompts.parquet"


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
"""One candidate a row, sorted by question id. `heuristic` is empty for the plain prompt, `finish_reason` is `stop` or
`length` (truncated), `sample_index` -1 is the greedy one."""

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


def graded_text(sample: Row, form: PromptForm) -> str:
    """The text of a sample in which its answer is looked for; one that did not end by itself has none."""
    return form.graded(sample["completion"], whole=sample["finish_reason"] == "stop")


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
    runtime: Runtime
    form: PromptForm
    """How the prompts are made."""
    flush_s: float = 30.0
    """Seconds after which finished completions are written even if a batch is not full. Ours."""
