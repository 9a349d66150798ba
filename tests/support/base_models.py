"""Base models as somebody would release or spoil them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from tasks.shared.models.files import CONFIG, INDEX, SINGLE
from tasks.shared.models.resolve import EMBEDDED_PATH


def put_model(folder: Path, *, factor: float = 1.0) -> None:
    """Put the embedded model into a folder, its last norm scaled."""
    shutil.copytree(EMBEDDED_PATH, folder)
    if factor != 1.0:
        weights = load_file(folder / "model.safetensors")
        weights["model.norm.weight"] = weights["model.norm.weight"] * factor
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def change_weights(folder: Path, change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> None:
    """Write a model's weights again as `change` makes them."""
    weights = change(load_file(folder / SINGLE))
    save_file({name: value.contiguous() for name, value in weights.items()}, folder / SINGLE, metadata={"format": "pt"})


def change_config(folder: Path, **values: object) -> None:
    """Set fields of a model's config.json."""
    file = folder / CONFIG
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def shard(folder: Path) -> None:
    """Part a model's weights into two files with an index."""
    weights = load_file(folder / SINGLE)
    names = sorted(weights)
    parts = {f"model-0000{part + 1}-of-00002.safetensors": names[part::2] for part in range(2)}
    for file, inside in parts.items():
        save_file({name: weights[name] for name in inside}, folder / file, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: file for file, inside in parts.items() for name in inside}}
    (folder / INDEX).write_text(json.dumps(index))
    (folder / SINGLE).unlink()
