"""Shares out work between processes and micro-batches."""

from collections.abc import Sequence


def balance_by_length(sizes: Sequence[int], cells: int) -> list[list[int]]:
    """Indices of rows for each of `cells` forward passes, of nearly equal size in sum: longest first, to the emptiest.

    Cells are the micro-batches of all devices; a cell may stay empty.
    """
    shares: list[list[int]] = [[] for _ in range(cells)]
    filled = [0] * cells
    for row in sorted(range(len(sizes)), key=lambda index: (-sizes[index], index)):
        cell = min(range(cells), key=filled.__getitem__)
        shares[cell].append(row)
        filled[cell] += sizes[row]
    return shares
