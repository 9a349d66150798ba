"""A few predictions for people to read."""

from collections.abc import Iterable, Sequence
from typing import Any

from tasks.predict.positions import Position
from tasks.predict.schema import REASONING
from tasks.shared.tables.parquet import Row

PER_TIER = 2
SHOWN_CHARS = 400


def examples(positions: Sequence[Position], predictions: Iterable[Row]) -> list[dict[str, Any]]:
    """The first reasoned predictions of each tier: end of the context, true token, completion, outcome."""
    by_key = {position.key: position for position in positions}
    shown: dict[str, list[dict[str, Any]]] = {}
    seen: set[tuple[str, int]] = set()
    for row in predictions:
        key = row["document_id"], row["position"]
        several = shown.setdefault(row["tier"], [])
        if row["mode"] != REASONING or key in seen or len(several) == PER_TIER:
            continue
        seen.add(key)
        several.append(
            {
                "tier": row["tier"],
                "context": by_key[key].context[-SHOWN_CHARS:],
                "target": by_key[key].target,
                "completion": row["completion"][-SHOWN_CHARS:],
                "predicted": row["predicted"],
                "outcome": row["outcome"],
            }
        )
    return [example for several in shown.values() for example in several]
