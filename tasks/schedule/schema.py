"""Tables that the schedule room writes."""

import pyarrow as pa

from tasks.shared.tables.parquet import Weight, required_columns

SCHEDULE_FILE = "schedule.parquet"
TEXTS_FILE = "texts.parquet"
PLOT_FILE = "plots/schedule.png"


SCHEDULE = required_columns(
    step=pa.int32(),
    slot=pa.int32(),
    document_id=pa.string(),
    position=pa.int32(),
    tier=pa.string(),
    drawn_tier=pa.string(),
    entropy=pa.float32(),
    budget=pa.int32(),
    prompt=pa.string(),
    target_token=pa.int32(),
    target=pa.string(),
    continuation=pa.string(),
    boundaries=pa.list_(pa.int32()),
)
"""A row per (`step`, `slot`), both from 0, sorted by them.

`tier` is the position's own, `drawn_tier` the one that the curriculum drew: they differ where that tier was used up.
`budget` is 0 where the prompt asks for no number of tokens. `prompt` is the text that the model sees. `continuation` is
the text of the next tokens, `target` (of `target_token`) first; `boundaries` are the byte offsets in its UTF-8 at which
a token ends. A token that ends inside a character has no offset: no text ends there.
"""

TEXTS = required_columns(
    document_id=pa.string(), tokens=pa.list_(pa.int32()), drawn=pa.list_(pa.int32()), first_step=pa.int32()
)
"""A row per document that a position is drawn from, sorted by `document_id`.

`tokens` is the whole document; `drawn` are its positions anywhere in the run, ascending, which next-token prediction
leaves out; `first_step` is the first step that draws one.
"""

PROMPT_GROUP = Weight(lambda row: len(row["prompt"]), 1 << 22)
"""Bound on rows of the schedule that are held at once: characters of their prompts."""
TOKEN_GROUP = Weight(lambda row: len(row["tokens"]), 1 << 18)
"""Bound on a row group of documents: tokens."""
