"""Unit tests as the gold answer of a question whose answer is code."""

from tasks.config import Frozen


class UnitTests(Frozen):
    """Tests of functions that an answer has to define; in a table they stand as JSON."""

    unit_tests: str
    """Python that raises where an answer is wrong."""
    entry_points: tuple[str, ...]
    """Names that the answer defines and the tests use."""
    prelude: str = ""
    """Python that stands before both the answer and the tests: imports, helpers, a signature."""
