"""Values in weight files that are no numbers: NaN and infinity, found without loading a model."""

import json
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

import numpy as np

from tasks.errors import Permanent
from tasks.shared.models.files import shortened

LEAST = {
    "F64": {"<i8": 0x7FF0 << 48, "<u8": 0xFFF0 << 48},
    "F32": {"<i4": 0x7F80_0000, "<u4": 0xFF80_0000},
    "F16": {"<i2": 0x7C00, "<u2": 0xFC00},
    "BF16": {"<i2": 0x7F80, "<u2": 0xFF80},
    "F8_E5M2": {"<i1": 0x7C, "<u1": 0xFC},
    "F8_E4M3": {"<i1": 0x7F, "<u1": 0xFF},
    "F8_E8M0": {"<u1": 0xFF},
}
"""Least bits of a type that are no number, as integers: those without the sign bit if signed, with it if unsigned.

Maxima of integers are the cheapest look there is, and numpy has neither bfloat16 nor the types of 8 bits.
"""
BLOCK_BYTES = 1 << 20
"""Small enough to be still in the processor's cache for the second look."""


def check_finite(file: Path, remedy: str) -> list[str]:
    """Refuse a safetensors file in which a value is no number; the names of its matrices that are all zeros.

    Raises:
        Permanent: there are some; it names their tensors, how many they are, and `remedy`.
    """
    found, zeros = {}, []
    for name, count, is_zero in _tensors(file):
        if count:
            found[name] = count
        if is_zero:
            zeros.append(name)
    if found:
        named = shortened(f"{name} ({count})" for name, count in found.items())
        raise Permanent(f"{file} holds {sum(found.values())} values that are NaN or infinite: {named}; {remedy}")
    return zeros


def _tensors(file: Path) -> Iterator[tuple[str, int, bool]]:
    """Each tensor of a file whose header was read before: its values that are none, whether it is a matrix of zeros."""
    with file.open("rb") as stream:
        size = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(size))
        for name, stored in header.items():
            if least := LEAST.get(stored.get("dtype")):
                start, end = stored["data_offsets"]
                stream.seek(8 + size + start)
                count, is_zero = 0, len(stored["shape"]) > 1 and end > start
                for block in _blocks(stream, end - start, next(iter(least))):
                    count += _count(block, least)
                    is_zero = is_zero and not block.any()
                yield name, count, is_zero


def _blocks(stream: BufferedReader, size: int, kind: str) -> Iterator[np.ndarray]:
    """The next bytes as integers; read and not mapped, for a mapped file that is cut meanwhile ends the process."""
    buffer = np.empty(BLOCK_BYTES, np.uint8)
    for left in range(size, 0, -BLOCK_BYTES):
        read = stream.readinto(buffer[: min(left, BLOCK_BYTES)])
        yield buffer[: read - read % np.dtype(kind).itemsize].view(kind)


def _count(block: np.ndarray, least: dict[str, int]) -> int:
    views = [(block.view(kind), bits) for kind, bits in least.items()]
    return sum(int(np.count_nonzero(view >= bits)) for view, bits in views if view.max(initial=0) >= bits)
