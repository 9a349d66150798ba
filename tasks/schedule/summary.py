"""A schedule in small, for manifests, tables and plots."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from tasks.schedule.config import ScheduleConfig
from tasks.schedule.schema import SCHEDULE_FILE
from tasks.schedule.write import Written
from tasks.shared.next_token.method import TIERS, budget
from tasks.shared.tables.parquet import count_rows, read_rows

BLOCKS = 20
"""Most parts that the steps are counted in (ours)."""
PERCENTS = (0, 30, 70, 100)
EXAMPLES = 3
_SHOWN = ("step", "slot", "tier", "budget", "prompt", "target")


def summarize(config: ScheduleConfig, written: Written) -> dict[str, Any]:
    """Counts of a schedule by tier, block of steps, fallback and reason, and its budgets along the way."""
    steps, slots = written.draws.index.shape
    drawable, drawn = (np.bincount(tiers.ravel(), minlength=3) for tiers in (written.offered.tier, written.used))
    return {
        "steps": steps,
        "positions_per_step": slots,
        "documents": {
            "read": written.offered.documents_read,
            "drawable": written.offered.documents,
            "drawn": written.documents,
        },
        "tiers": {
            tier: {"drawable": int(drawable[index]), "drawn": int(drawn[index])} for index, tier in enumerate(TIERS)
        },
        "blocks": _blocks(written),
        "fallbacks": _fallbacks(written),
        "unusable": written.offered.unusable,
        "budgets": {str(percent): budget(percent, 100, config.budget) for percent in PERCENTS}
        if config.budget.enabled
        else {},
        "thresholds": config.tiers.model_dump(),
    }


def ledger(written: Written) -> dict[str, int]:
    """Counts that add up: positions = those that cannot be drawn by reason + drawable, drawable = drawn + unused."""
    unusable, drawable, drawn = written.offered.unusable, len(written.offered.tier), written.used.size
    return {
        "positions": sum(unusable.values()) + drawable,
        **unusable,
        "drawable": drawable,
        "unused": drawable - drawn,
        "drawn": drawn,
    }


def examples(folder: Path) -> list[dict[str, Any]]:
    """Three rows with their rendered prompts: the first, one in the middle and the last."""
    path = folder / SCHEDULE_FILE
    last = count_rows(path) - 1
    places = {round(part * last / (EXAMPLES - 1)) for part in range(EXAMPLES)}
    return [row for place, row in enumerate(read_rows(path, _SHOWN)) if place in places]


def _blocks(written: Written) -> list[dict[str, Any]]:
    steps = len(written.used)
    edges = np.unique(np.linspace(0, steps, min(BLOCKS, steps) + 1).round().astype(int))
    blocks = []
    for first, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        used, drawn = written.used[first:stop], written.draws.drawn[first:stop]
        counts = np.bincount(used.ravel(), minlength=len(TIERS)).tolist()
        blocks.append(
            {
                "first_step": first,
                "last_step": stop - 1,
                **dict(zip(TIERS, counts, strict=True)),
                "fallbacks": int(np.count_nonzero(used != drawn)),
            }
        )
    return blocks


def _fallbacks(written: Written) -> dict[str, int]:
    pairs = Counter(
        zip(written.draws.drawn.ravel().tolist(), written.used.ravel().tolist(), strict=True),
    )
    return {
        f"{TIERS[drawn]} -> {TIERS[used]}": count for (drawn, used), count in sorted(pairs.items()) if drawn != used
    }
