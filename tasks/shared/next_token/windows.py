"""Windows over a document longer than the context; together they predict every position once."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Window:
    """Positions `first` to `end` - 1 are predicted, each from the tokens from `start` up to it."""

    start: int
    first: int
    end: int

    @property
    def num_inputs(self) -> int:
        """Tokens that the model reads: the last position is predicted, not read."""
        return self.end - 1 - self.start


def windows(num_tokens: int, context_tokens: int, overlap_tokens: int) -> list[Window]:
    """The windows of a document; together they predict positions 1 to `num_tokens` - 1, in order, each once.

    No position is predicted from more than `context_tokens` tokens, and none after the first window from fewer than
    `overlap_tokens`. The overlap is ours: the paper (arXiv 2509.24375) does not say how long texts are read.

    Raises:
        ValueError: 1 <= overlap_tokens < context_tokens does not hold, so that some position could not be predicted.
    """
    if not 1 <= overlap_tokens < context_tokens:
        raise ValueError(
            f"overlap_tokens={overlap_tokens}, context_tokens={context_tokens}: 1 <= overlap < context does not hold"
        )
    parts = []
    first, start = 1, 0
    while first < num_tokens:
        end = min(start + context_tokens + 1, num_tokens)
        parts.append(Window(start, first, end))
        first, start = end, end - overlap_tokens
    return parts
