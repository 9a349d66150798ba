"""Which checkpoint a killed trainer may continue from."""

import json
import shutil
from pathlib import Path

_STATE = "trainer_state.json"


def last_whole(folder: Path) -> Path | None:
    """The newest checkpoint that was written to its end, or None; half-written ones are removed.

    `transformers` writes `trainer_state.json` last, and `WholeCheckpoints` waits for every process before, so a
    checkpoint whose state parses is whole.
    """
    whole: dict[int, Path] = {}
    for path in folder.glob("checkpoint-*"):
        step = _step(path)
        if step is None:
            shutil.rmtree(path)
        else:
            whole[step] = path
    return whole[max(whole)] if whole else None


def _step(checkpoint: Path) -> int | None:
    try:
        return int(json.loads((checkpoint / _STATE).read_text())["global_step"])
    except (OSError, ValueError, KeyError):
        return None
