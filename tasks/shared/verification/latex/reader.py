r"""Read the common subset of LaTeX into a tree; whatever is not surely in it gives None and is for the full grammar.

Read are numerals, letters with a short index, ``\pi``, ``e``, ``i``, sums, products, quotients, powers, roots,
logarithms, trigonometric and hyperbolic functions, absolute values, factorials, binomials; lists, sets, tuples,
intervals and their unions, matrices, ``\pm``, ``f(x)``, one equation or inequality. The reading agrees with the
grammar's (tests compare them), down to ``1/2x`` being 1/(2x). Left to the grammar is what it reads in a way of its own:
mixed numbers, percent, units, words, differentials.
"""

import re

from tasks.shared.verification.latex.expressions import ExpressionReader
from tasks.shared.verification.latex.tokens import Unread, tokens
from tasks.shared.verification.latex.tree import Node, is_rational

MAX_CHARS = 4_000

_ODD_NUMERAL = re.compile(r"(?:^|[^\d.])0\d|\d\s+[\d.]|\.\d*\.|\d\.(?!\d)|(?:^|[^\d])\.\d")
_COMMAS = re.compile(r"(?<![\d.])\d[\d.]*(?:,\d[\d.]*)+")
_GROUPED_DIGITS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_RELATIONS = {"=": "=", "<": "<", ">": ">", r"\le": "<=", r"\leq": "<=", r"\ge": ">=", r"\geq": ">=", r"\lt": "<"}
_MATRICES = (r"\begin{pmatrix}", r"\begin{bmatrix}")
_MATRIX_ENDS = tuple(name.replace("begin", "end") for name in _MATRICES)
_CLOSING = {"(": ")", "[": "]", r"\{": r"\}"}


def read(text: str) -> Node | None:
    """Tree of a normalised LaTeX text; None where it is not surely in the subset."""
    if len(text) > MAX_CHARS or _ODD_NUMERAL.search(text):
        return None
    if any(_GROUPED_DIGITS.fullmatch(run) for run in _COMMAS.findall(text)):
        # One number or a list: the grammar has its rules. 27,54,108 can only be a list.
        return None
    try:
        return _ShapeReader(tokens(text)).whole()
    except (Unread, RecursionError):
        return None


class _ShapeReader(ExpressionReader):
    """Recursive descent from the whole answer to expressions: lists, sets, intervals, matrices, relations."""

    def whole(self) -> Node:
        """The tree of all tokens."""
        items = self._items()
        self.expect("")
        return items[0] if len(items) == 1 and items[0][0] != "pm" else ("list", *items)

    def _items(self) -> list[Node]:
        items = [self._item()]
        while self.accept(","):
            items.append(self._item())
        return items

    def _item(self) -> Node:
        if self.next in _CLOSING:
            start = self.at
            try:
                return self._sets()
            except Unread:
                self.at, self.open_bars = start, 0
        if self.next in _MATRICES:
            return self._matrix()
        if self.accept(r"\pm"):
            return ("pm", ("int", 0), self.term())
        left = self.expression()
        if self.accept(r"\pm"):
            return ("pm", left, self.term())
        if is_rational(left) and self._degrees():
            return left
        if left[0] == "symbol" and self.accept(r"\in"):
            return ("relation", "=", left, self._sets())
        if self.next in _RELATIONS:
            return ("relation", _RELATIONS[self.take()], left, self.expression())
        return left

    def _degrees(self) -> bool:
        """Pass a degree sign, which the grammar leaves out."""
        for spelled in (["^", r"\circ"], ["^", "{", r"\circ", "}"]):
            if self.tokens[self.at : self.at + len(spelled)] == spelled:
                self.at += len(spelled)
                return True
        return False

    def _matrix(self) -> Node:
        closing = self.take().replace("begin", "end")
        rows = [[self._cell()]]
        while not self.accept(closing):
            if self.accept(r"\\"):
                if self.accept(closing):
                    break
                rows.append([])
            else:
                self.expect("&")
            rows[-1].append(self._cell())
        if len({len(row) for row in rows}) > 1:
            raise Unread
        return ("matrix", *(("row", *row) for row in rows))

    def _cell(self) -> Node:
        """A cell; a ``d`` that stands alone in one is no differential."""
        if self.next == "d" and self.tokens[self.at + 1] in ("&", r"\\", *_MATRIX_ENDS):
            return ("symbol", self.take())
        return self.expression()

    def _sets(self) -> Node:
        sets = [self._bracketed()]
        while self.accept(r"\cup"):
            sets.append(self._bracketed())
        if self.next not in ("", ",", ")", "]", r"\}"):
            raise Unread
        if len(sets) > 1 and any(kind[0] != "interval" for kind in sets):
            raise Unread
        return sets[0] if len(sets) == 1 else ("union", *sets)

    def _bracketed(self) -> Node:
        opening = self.take()
        if opening not in _CLOSING:
            raise Unread
        items, closing = self._items(), self.take()
        if opening == r"\{":
            if closing != r"\}":
                raise Unread
            return ("set", *items)
        if closing not in (")", "]") or len(items) < 2 or any(item[0] in ("relation", "pm") for item in items):
            raise Unread
        if len(items) == 2:
            return ("interval", opening + closing, *items)
        if opening + closing != "()":
            raise Unread
        return ("tuple", *items)
