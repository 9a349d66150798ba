"""Tables that pass between filtering and its scorers."""

import pyarrow as pa

TO_SCORE = pa.schema(
    [
        pa.field(name, pa.string(), nullable=False)
        for name in ("key", "question", "heuristic", "prompt", "plain", "completion")
    ]
)
"""`prompt` is the rendered prompt under the heuristic, `plain` the one without."""

SCORES = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("adherence", pa.float64(), nullable=False),
        pa.field("tokens", pa.int32(), nullable=False),
    ]
)
