"""The weights between two models, written tensor by tensor into a copy of one of them."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import torch
from safetensors import safe_open

from tasks.errors import Permanent
from tasks.shared.models.files import local_names, local_reader, model_files, shortened
from tasks.shared.models.weights import StoredTensor, Weights, read_weights

TYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
"""Types that can be averaged, by their names in safetensors."""


def interpolate(
    base: Path,
    model: Path,
    out: Path,
    alpha: float,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Weights:
    """Write a model folder with (1 - alpha) * base + alpha * model; all but the weights is the model's own.

    One tensor of each is in memory at a time. It is averaged in float32 (float64 where it is stored so), and rounded
    once to the type it is stored in.

    Raises:
        Permanent: names, shapes or types of the tensors differ, or a type is none of `TYPES`.
    """
    check_alike(read_weights(model), read_weights(base), model, base)
    for name in model_files(local_names(model), local_reader(model)):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(model / name, out / name)
    weights, start = read_weights(out), read_weights(base).tensors
    done = 0
    for name in weights.files:
        for _ in _average_in_place(out / name, start, alpha):
            done += 1
            progress(done, len(weights.tensors))
    return weights


def check_alike(weights: Weights, base: Weights, model_folder: Path, base_folder: Path) -> None:
    """Refuse two models of which some tensor of the first has no counterpart in the base, or one of another form.

    What the base alone has is no parameter: a tied output layer is stored beside its embedding by some models, and by
    no trainer.
    """
    found, wanted = weights.tensors, base.tensors
    if missing := found.keys() - wanted.keys():
        raise Permanent(
            f"{base_folder} has no tensor {shortened(missing)} of {model_folder}; interpolate two models of one "
            "architecture"
        )
    unlike = {
        f"{name} ({_form(tensor)} and {_form(wanted[name])})"
        for name, tensor in found.items()
        if _form(tensor) != _form(wanted[name])
    }
    if unlike:
        raise Permanent(
            f"tensors of {model_folder} and {base_folder} differ in shape or type: {shortened(unlike)}; interpolate a "
            "model with the one that it was trained from"
        )
    if other := {f"{name} ({tensor.dtype})" for name, tensor in found.items() if tensor.dtype not in TYPES}:
        raise Permanent(f"{model_folder}: no average of {shortened(other)}; types that have one: {', '.join(TYPES)}")


def _form(tensor: StoredTensor) -> str:
    return f"{tensor.dtype} {list(tensor.shape)}"


def _average_in_place(file: Path, start: Mapping[str, StoredTensor], alpha: float) -> Iterator[str]:
    """Replace each tensor of a safetensors file by the average with its counterpart; yields its name."""
    with file.open("r+b") as stream, ExitStack() as stack:
        size = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(size))
        names = header.keys() & start.keys()
        bases = {path: stack.enter_context(safe_open(path, "pt")) for path in {start[name].file for name in names}}
        for name in sorted(names, key=lambda name: header[name]["data_offsets"]):
            first, end = header[name]["data_offsets"]
            stream.seek(8 + size + first)
            own = torch.frombuffer(bytearray(stream.read(end - first)), dtype=TYPES[header[name]["dtype"]])
            between = averaged(bases[start[name].file].get_tensor(name).flatten(), own, alpha)
            stream.seek(8 + size + first)
            stream.write(between.view(torch.uint8).numpy().data)
            yield name


def averaged(base: torch.Tensor, model: torch.Tensor, alpha: float) -> torch.Tensor:
    """(1 - alpha) * base + alpha * model in the type of both, rounded once."""
    exact = torch.promote_types(model.dtype, torch.float32)
    return torch.lerp(base.to(exact), model.to(exact), alpha).to(model.dtype)
