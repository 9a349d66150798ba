"""Base models as somebody would release them."""

import shutil
from pathlib import Path

from safetensors.torch import load_file, save_file

from tasks.shared.models.resolve import EMBEDDED_PATH


def put_model(folder: Path, *, factor: float = 1.0) -> None:
    """Put the embedded model into a folder, its last norm scaled."""
    shutil.copytree(EMBEDDED_PATH, folder)
    if factor != 1.0:
        weights = load_file(folder / "model.safetensors")
        weights["model.norm.weight"] = weights["model.norm.weight"] * factor
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
