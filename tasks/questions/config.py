"""Settings of the questions stage."""

import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from tasks.config import NOT_HASHED, Frozen, Seed, StageConfig
from tasks.questions.fields import FieldMapping
from tasks.questions.presets import load_preset, preset_names
from tasks.shared.sources.errors import SourceError

Format = Literal["auto", "jsonl", "json", "csv", "tsv", "parquet"]


def _known(preset: str) -> None:
    try:
        load_preset(preset)
    except SourceError as error:
        raise ValueError(str(error)) from error


def _bounds(part: str) -> tuple[int, int]:
    first, end = (part or "0-100").split("-")
    return int(first), int(end)


class TinyOptions(Frozen):
    """Selection of problems of the embedded small world."""

    split: Literal["base", "seed", "rl", "dev", "test", "ood"] = "seed"
    """Splits are disjoint by construction: `base` made the base model, `seed` feeds mid-training, `rl` feeds RL."""
    count: int = Field(400, ge=1)
    """Problems to generate."""
    seed: Seed = 0
    """Seed that draws the problems of the split."""


class QuestionsConfig(StageConfig):
    """A question set: where it comes from, how its rows are read, and how many are taken. Defaults are ours.

    Identity is the content of the source (`source_digest`, filled in by `sources.resolve`), never its place: a moved
    file is the same set and a changed file is another one.
    """

    STAGE: ClassVar[str] = "questions"

    source: Annotated[str, NOT_HASHED] = "tiny"
    """`tiny` (the embedded world), `hub` (the preset's own home), a Hugging Face dataset id `org/name`, a local
    file, folder or glob, or any fsspec address such as `s3://bucket/file.jsonl`."""
    preset: Annotated[str, NOT_HASHED] = ""
    """Name of a published schema: gsm8k, math500, aime24, aime25, amc23, minerva_math, olympiadbench, svamp,
    dapo-math-17k; musr, gpqa (choices); humaneval, mbpp (code). Or the path of a YAML file of your own,
    `fields: {question: problem, answer: solution}` in it."""
    fields: Annotated[FieldMapping | None, NOT_HASHED] = None
    """The schema of a set that has no preset."""
    name: Annotated[str, NOT_HASHED] = ""
    """Label of the set in the `source` column; empty takes the preset's name, or `tiny`, or `custom`."""
    format: Format = "auto"
    """File format; `auto` goes by the ending (`.jsonl`, `.json`, `.csv`, `.tsv`, `.parquet`). Gzip is recognised by
    itself."""
    revision: Annotated[str, NOT_HASHED] = ""
    """Hub only: branch, tag or commit; it is resolved to a commit."""
    subset: Annotated[str, NOT_HASHED] = ""
    """Hub only: configuration name; empty takes the preset's."""
    split: Annotated[str, NOT_HASHED] = ""
    """Split of a dataset of the hub (empty takes the preset's, else `train`), or of a folder whose files' names tell
    splits."""
    tiny: Annotated[TinyOptions, NOT_HASHED] = TinyOptions()
    """Embedded world only: which problems to take."""
    part: str = ""
    """Share of the set in percent, `0-70` or `70-100`, drawn by each question's own hash: two parts that do not overlap
    have no question in common, whatever is added to the set or left out of it. Empty takes all."""
    limit: int | None = Field(None, ge=1)
    """Questions to keep at most; a smaller limit gives a subset of a larger one."""
    order: Literal["file", "shuffled"] = "file"
    """Which questions a limit takes: the first usable ones as they stand, or the first of an order drawn by `seed`."""
    seed: Seed = 0
    """Seed of the shuffled order."""
    min_question_chars: int = Field(1, ge=1)
    """Shorter questions are rejected."""
    max_question_chars: int = Field(8_000, ge=1)
    """Longer questions are rejected."""
    max_answer_chars: int = Field(1_000, ge=1)
    """Longer answers are rejected: more likely a solution than an answer."""
    max_rejected_share: float = Field(0.2, ge=0, le=1)
    """The stage fails when it rejects a larger share of the rows."""
    source_digest: str = ""
    """Digest of the source's content; `sources.resolve` fills it in."""

    @field_validator("part")
    @classmethod
    def _is_a_share(cls, value: str) -> str:
        first, end = _bounds(value) if re.fullmatch(r"(\d{1,3}-\d{1,3})?", value) else (0, 0)
        if not 0 <= first < end <= 100:
            raise ValueError(f"{value!r} is no part of a set; write it in whole percent as 0-70 or 70-100")
        return value

    @model_validator(mode="after")
    def _schema_is_known(self) -> "QuestionsConfig":
        if self.source == "tiny":
            if self.preset or self.fields:
                raise ValueError("source 'tiny' has its own schema; drop preset and fields, or set source")
            return self
        if self.preset and self.fields:
            raise ValueError("give preset or fields, not both")
        if self.source == "hub" and not self.preset:
            raise ValueError("source 'hub' is the home of a preset; set preset, or give a dataset id as source")
        if not self.fields and not self.preset:
            raise ValueError(
                f"source {self.source!r} needs a schema: set preset ({', '.join(preset_names())}) or fields"
            )
        if self.preset:
            _known(self.preset)
        return self

    def mapping(self) -> FieldMapping:
        """The field mapping in force. Raises `SourceError` where none is given or the preset is unknown."""
        if self.fields:
            return self.fields
        preset = load_preset(self.preset)
        at_home = preset.hub is not None and self.source in ("hub", preset.hub.id)
        return (preset.hub.fields if at_home and preset.hub else None) or preset.fields

    @property
    def part_bounds(self) -> tuple[int, int]:
        """Where the part that is taken begins and ends, percent."""
        return _bounds(self.part)

    def holds(self, question_id: str) -> bool:
        """Whether a question is in the part that is taken, by the first 32 bits of its id (a hash of its text)."""
        first, end = self.part_bounds
        return first <= int(question_id[:8], 16) * 100 >> 32 < end

    def label(self) -> str:
        """Value of the `source` column."""
        return self.name or Path(self.preset).stem or ("tiny" if self.source == "tiny" else "custom")

    def identity_payload(self) -> dict[str, Any]:
        """Fields as hashed: the content and all that changes the rows, not where the content lies.

        Raises ValueError before `sources.resolve` has filled in the digest.
        """
        if not self.source_digest:
            raise ValueError("the source was not looked at yet; call tasks.questions.sources.resolve(config) first")
        payload = {**super().identity_payload(), "label": self.label()}
        if self.part_bounds == (0, 100):
            # A set taken whole is the set that it was before it could be parted.
            del payload["part"]
        if self.source == "tiny":
            payload["tiny"] = self.tiny
        else:
            payload["fields"] = self.mapping()
        return payload
