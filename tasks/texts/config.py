"""Settings of the texts stage."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from tasks.config import NOT_HASHED, Frozen, Seed, StageConfig
from tasks.shared.sources.paths import checked_path

Format = Literal["auto", "jsonl", "json", "csv", "tsv", "parquet", "txt", "lines"]


class TinyTexts(Frozen):
    """Selection of worked problems of the embedded small world."""

    kind: Literal["worked", "chains"] = "worked"
    """`chains` puts long thinking between the question and its solution."""
    count: int = Field(2_000, ge=1)
    """Training documents to generate."""
    evaluation: Literal["evaluation", "test", "ood"] = "evaluation"
    """Held-out documents: `evaluation` and `test` are like those of training, `ood` of kinds that it never shows."""
    seed: Seed = 0
    """Seed that draws the documents of each split."""


class TextFields(Frozen):
    """Dotted paths to a document in a publisher's row."""

    text: str
    given: str
    """Path of the given part; empty where no part of a document is given."""
    joiner: str
    meta: dict[str, str]


class TextsConfig(StageConfig):
    """A corpus: where it comes from, what of a row is the text, and which documents are held out. Defaults are ours.

    Identity is the content of the sources (the digests, filled in by `tasks.texts.sources.resolve`), never their place.
    """

    STAGE: ClassVar[str] = "texts"

    source: Annotated[str, NOT_HASHED] = "tiny"
    """`tiny` (the embedded world), a Hugging Face dataset id `org/name`, a local file, folder or glob, or any fsspec
    address such as `s3://bucket/file.jsonl`."""
    format: Annotated[Format, NOT_HASHED] = "auto"
    """File format; `auto` goes by the ending (`.jsonl`, `.json`, `.csv`, `.tsv`, `.parquet`, `.txt`). A `txt` file is
    one document; with `lines` each of its lines is one. Gzip is recognised by itself."""
    text_field: str = "text"
    """Dotted path (`a.b[0]`) of the text, taken as it stands; `txt` and `lines` call theirs `text`."""
    given_field: str = ""
    """Path of a leading part that is given, e.g. the question of a solution corpus; no place in it is predicted."""
    joiner: str = "\n"
    """Text between the given part and the rest; it belongs to what is given."""
    meta: dict[str, str] = {}
    """Further values to keep: name in `meta` to path. A row may lack them."""
    name: Annotated[str, NOT_HASHED] = ""
    """Label in the `source` column; empty takes `tiny` or `custom`."""
    revision: Annotated[str, NOT_HASHED] = ""
    """Hub only: branch, tag or commit of `source`; it is resolved to a commit."""
    subset: Annotated[str, NOT_HASHED] = ""
    """Hub only: configuration name, also of `evaluation_source`."""
    split: Annotated[str, NOT_HASHED] = ""
    """Split of a dataset of the hub (empty takes `train`), or of a folder whose files' names tell splits."""
    evaluation_source: Annotated[str, NOT_HASHED] = ""
    """Source of the held-out documents, an address like `source` and read by the same fields; empty holds out some of
    `source`. A training document that stands there too is left out of training."""
    evaluation_split: Annotated[str, NOT_HASHED] = ""
    """Split of `evaluation_source`, or of `source` where that is empty: on the hub (empty takes `test`), or of a folder
    whose files' names tell splits."""
    evaluation_documents: int = Field(200, ge=1)
    """Held-out documents: those whose ids come first in an order drawn by `seed`, so that the choice depends on the
    documents and not on their place (the rule is ours; the paper, arXiv 2509.24375, holds out 200)."""
    limit: int | None = Field(None, ge=1)
    """Training documents to keep at most, the next in that order; a smaller limit gives a subset of a larger one."""
    seed: Seed = 0
    """Seed of the order that the split and the limit go by."""
    tiny: Annotated[TinyTexts, NOT_HASHED] = TinyTexts()
    """Embedded world only: which documents to take."""
    min_chars: int = Field(1, ge=1)
    """Shorter texts are rejected; the given part does not count."""
    max_chars: int = Field(1_000_000, ge=1)
    """Longer documents are rejected, never cut; the given part counts."""
    max_rejected_share: float = Field(0.2, ge=0, le=1)
    """The stage fails when it rejects a larger share of the rows."""
    source_digest: str = ""
    """Digest of the source's content; `sources.resolve` fills it in."""
    evaluation_digest: str = ""
    """Digest of the separate evaluation source, if there is one."""

    @model_validator(mode="after")
    def _fits_together(self) -> "TextsConfig":
        for path in (self.text_field, *([self.given_field] if self.given_field else []), *self.meta.values()):
            checked_path(path)
        if self.min_chars > self.max_chars:
            raise ValueError(f"min_chars={self.min_chars} is above max_chars={self.max_chars}")
        if "tiny" in (self.source, self.evaluation_source):
            changed = [
                name
                for name in ("text_field", "given_field", "joiner", "meta", "evaluation_source", "evaluation_split")
                if getattr(self, name) != type(self).model_fields[name].get_default()
            ]
            if self.source != "tiny" or changed:
                what = f"drop {', '.join(changed)}, or set source" if self.source == "tiny" else "set tiny.evaluation"
                raise ValueError(f"source 'tiny' has its own fields and its own held-out documents; {what}")
        return self

    @property
    def held_out_apart(self) -> bool:
        """Whether held-out documents have a source of their own."""
        return self.source == "tiny" or bool(self.evaluation_source or self.evaluation_split)

    def fields(self) -> TextFields:
        """The fields in force."""
        if self.source == "tiny":
            return TextFields(text="text", given="given", joiner="", meta={"family": "family", "style": "style"})
        return TextFields(text=self.text_field, given=self.given_field, joiner=self.joiner, meta=self.meta)

    def label(self) -> str:
        """Value of the `source` column."""
        return self.name or ("tiny" if self.source == "tiny" else "custom")

    def identity_payload(self) -> dict[str, Any]:
        """Fields as hashed: the content and all that changes the documents, not where the content lies.

        Raises ValueError before `sources.resolve` has filled in the digests.
        """
        if not self.source_digest:
            raise ValueError("the source was not looked at yet; call tasks.texts.sources.resolve(config) first")
        return {**super().identity_payload(), "label": self.label()}
