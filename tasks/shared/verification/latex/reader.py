r"""Read the common subset of LaTeX into a tree; whatever is not surely in it gives None and is for the full grammar.

Read are numerals, letters with a short index, ``\pi``, ``e``, ``i``, sums, products, quotients, powers, roots,
logarithms, trigonometric and hyperbolic functions, absolute values, factorials, binomials; lists, sets, tuples,
intervals and their unions, matrices, ``\pm``, ``f(x)``, one equation or inequality. The reading agrees with the
grammar's (tests compare them), down to ``1/2x`` being 1/(2x). Left to the grammar is what it reads in a way of its own:
mixed numbers, percent, units, words, differentials.
"""

import re
from collections.abc import Callable

from tasks.shared.verification.latex.tree import Node, is_rational

MAX_CHARS = 4_000

_TOKEN = re.compile(
    r"\s+|\\[,;:!]|\\q?quad(?![A-Za-z])|(?P<number>\d+(?:\.\d+)?)|(?P<matrix>\\(?:begin|end)\{[pb]matrix\})|(?P<command>\\(?:[A-Za-z]+|[{}\\]))"
    r"|(?P<letter>[A-Za-z])|(?P<sign>[-+*/^_!(){}\[\]|,=<>&])"
)
_ODD_NUMERAL = re.compile(r"(?:^|[^\d.])0\d|\d\s+[\d.]|\.\d*\.|\d\.(?!\d)|(?:^|[^\d])\.\d")
_COMMAS = re.compile(r"(?<![\d.])\d[\d.]*(?:,\d[\d.]*)+")
_GROUPED_DIGITS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_GREEK = frozenset(
    rf"\{name}"
    for name in "alpha beta delta epsilon eta theta kappa lambda mu nu xi rho sigma tau phi chi psi omega".split()
)
_FUNCTIONS = frozenset(r"\sin \cos \tan \cot \sec \csc \arcsin \arccos \arctan \sinh \cosh \tanh \exp \ln \log".split())
_RELATIONS = {"=": "=", "<": "<", ">": ">", r"\le": "<=", r"\leq": "<=", r"\ge": ">=", r"\geq": ">=", r"\lt": "<"}
_MATRICES = (r"\begin{pmatrix}", r"\begin{bmatrix}")
_CLOSING = {"(": ")", "[": "]", r"\{": r"\}"}
_UNREAD_LETTERS = frozenset("Ed")
"""``E`` is a symbol to the grammar and a constant to others; ``d`` may be a differential."""


class _Unread(Exception):
    """The text is not surely in the subset."""


def _quotient(upper: Node, lower: Node) -> Node:
    if lower == ("int", 0):
        raise _Unread
    return ("div", upper, lower)


def read(text: str) -> Node | None:
    """Tree of a normalised LaTeX text; None where it is not surely in the subset."""
    if len(text) > MAX_CHARS or _ODD_NUMERAL.search(text):
        return None
    if any(_GROUPED_DIGITS.fullmatch(run) for run in _COMMAS.findall(text)):
        # One number or a list: the grammar has its rules. 27,54,108 can only be a list.
        return None
    try:
        return _Reader(_tokens(text)).whole()
    except (_Unread, RecursionError):
        return None


def _tokens(text: str) -> list[str]:
    tokens, position = [], 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _Unread
        if match.lastgroup:
            tokens.append(match.group())
        position = match.end()
    return [*tokens, ""]


class _Reader:
    """Recursive descent over tokens; the last one is the empty string."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0
        self._open_bars = 0
        self._atoms: dict[str, Callable[[], Node]] = {
            "(": lambda: self._enclosed(")"),
            "{": lambda: self._enclosed("}"),
            "|": self._bars,
            r"\frac": lambda: _quotient(self._group(), self._group()),
            r"\binom": lambda: ("binomial", self._group(), self._group()),
            r"\sqrt": self._root,
            r"\lfloor": lambda: ("floor", self._enclosed(r"\rfloor")),
        }

    @property
    def _next(self) -> str:
        return self._tokens[self._at]

    def _take(self) -> str:
        token = self._next
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _accept(self, token: str) -> bool:
        if self._next != token:
            return False
        self._at += 1
        return True

    def _expect(self, token: str) -> None:
        if not self._accept(token):
            raise _Unread

    def whole(self) -> Node:
        """The tree of all tokens."""
        items = self._items()
        self._expect("")
        return items[0] if len(items) == 1 and items[0][0] != "pm" else ("list", *items)

    def _items(self) -> list[Node]:
        items = [self._item()]
        while self._accept(","):
            items.append(self._item())
        return items

    def _item(self) -> Node:
        if self._next in _CLOSING:
            start = self._at
            try:
                return self._sets()
            except _Unread:
                self._at, self._open_bars = start, 0
        if self._next in _MATRICES:
            return self._matrix()
        if self._accept(r"\pm"):
            return ("pm", ("int", 0), self._term())
        left = self._expression()
        if self._accept(r"\pm"):
            return ("pm", left, self._term())
        if is_rational(left) and self._degrees():
            return left
        if left[0] == "symbol" and self._accept(r"\in"):
            return ("relation", "=", left, self._sets())
        if self._next in _RELATIONS:
            return ("relation", _RELATIONS[self._take()], left, self._expression())
        return left

    def _degrees(self) -> bool:
        """Pass a degree sign, which the grammar leaves out."""
        for spelled in (["^", r"\circ"], ["^", "{", r"\circ", "}"]):
            if self._tokens[self._at : self._at + len(spelled)] == spelled:
                self._at += len(spelled)
                return True
        return False

    def _matrix(self) -> Node:
        closing = self._take().replace("begin", "end")
        rows = [[self._expression()]]
        while not self._accept(closing):
            if self._accept(r"\\"):
                if self._accept(closing):
                    break
                rows.append([])
            else:
                self._expect("&")
            rows[-1].append(self._expression())
        if len({len(row) for row in rows}) > 1:
            raise _Unread
        return ("matrix", *(("row", *row) for row in rows))

    def _sets(self) -> Node:
        sets = [self._bracketed()]
        while self._accept(r"\cup"):
            sets.append(self._bracketed())
        if self._next not in ("", ",", ")", "]", r"\}"):
            raise _Unread
        if len(sets) > 1 and any(kind[0] != "interval" for kind in sets):
            raise _Unread
        return sets[0] if len(sets) == 1 else ("union", *sets)

    def _bracketed(self) -> Node:
        opening = self._take()
        if opening not in _CLOSING:
            raise _Unread
        items, closing = self._items(), self._take()
        if opening == r"\{":
            if closing != r"\}":
                raise _Unread
            return ("set", *items)
        if closing not in (")", "]") or len(items) < 2 or any(item[0] in ("relation", "pm") for item in items):
            raise _Unread
        if len(items) == 2:
            return ("interval", opening + closing, *items)
        if opening + closing != "()":
            raise _Unread
        return ("tuple", *items)

    def _expression(self) -> Node:
        terms = [self._signed_term()]
        while self._next in ("+", "-"):
            negative = self._take() == "-"
            term = self._term()
            terms.append(("neg", term) if negative else term)
        return terms[0] if len(terms) == 1 else ("add", *terms)

    def _signed_term(self) -> Node:
        if self._accept("-"):
            return ("neg", self._term())
        self._accept("+")
        return self._term()

    def _term(self) -> Node:
        left = self._product()
        while self._next in ("*", r"\cdot", r"\times", "/", r"\div"):
            divides = self._take() in ("/", r"\div")
            right = self._product()
            left = _quotient(left, right) if divides else ("mul", left, right)
        return left

    def _product(self, *, in_function: bool = False) -> Node:
        """Factors side by side; without an argument's brackets, those of a function end at the next function."""
        factors = [self._power()]
        while self._starts_factor() and not (in_function and self._next in _FUNCTIONS):
            bracket = self._next == "("
            factor = self._power()
            # The grammar adds adjacent numbers (mixed numbers) and takes x(y) for a function of one argument.
            if is_rational(factors[-1]) and is_rational(factor):
                raise _Unread
            if bracket and factors[-1][0] == "symbol" and factor[0] != "add":
                raise _Unread
            factors.append(factor)
        return factors[0] if len(factors) == 1 else ("mul", *factors)

    def _starts_factor(self) -> bool:
        token = self._next
        if token[:1].isdigit():
            if self._tokens[self._at - 1] == ")":
                return True
            raise _Unread
        if token == "|":
            return not self._open_bars
        return token[:1].isalpha() or token in self._atoms or token in _FUNCTIONS | _GREEK | {r"\pi", r"\infty"}

    def _power(self) -> Node:
        base = self._function() if self._next in _FUNCTIONS else self._atom()
        if self._accept("!"):
            base = ("factorial", base)
        if self._raised():
            self._take()
            if base[0] in ("call", "log", "factorial"):
                raise _Unread
            base = ("pow", base, self._script())
        if self._next in ("!", "_") or self._raised():
            raise _Unread
        return base

    def _raised(self) -> bool:
        """Whether an exponent follows, which a degree sign is not."""
        return self._next == "^" and r"\circ" not in self._tokens[self._at + 1 : self._at + 3]

    def _script(self) -> Node:
        if self._next == "{":
            return self._group()
        token = self._take()
        if token.isdigit():
            return ("int", int(token))
        if len(token) == 1 and token.isalpha() and token not in _UNREAD_LETTERS:
            return self._letter(token)
        raise _Unread

    def _function(self) -> Node:
        name = self._take()[1:]
        base: Node | None = {"log": ("int", 10), "ln": ("constant", "e")}.get(name)
        if name == "log" and self._accept("_"):
            base = self._script()
        power = self._script() if self._accept("^") else None
        if power is not None and (name in ("log", "ln", "exp") or power[0] != "int"):
            raise _Unread
        if self._next == "(":
            argument = self._atom()
            if self._next == "^":
                raise _Unread
        else:
            argument = self._product(in_function=True)
            if self._next in ("*", "/", r"\cdot", r"\times", r"\div"):
                raise _Unread
        called = ("log", argument, base) if base else ("call", name, argument)
        return called if power is None else ("pow", called, power)

    def _atom(self) -> Node:
        token = self._take()
        if token[:1].isdigit():
            return ("decimal", token) if "." in token else ("int", int(token))
        if token in self._atoms:
            return self._atoms[token]()
        if token == r"\pi":
            return ("constant", "pi")
        if token == r"\infty":
            return ("constant", "infinity")
        if token in _GREEK:
            return self._indexed(token[1:])
        if len(token) == 1 and token.isalpha() and token not in _UNREAD_LETTERS:
            return self._letter(token)
        raise _Unread

    def _letter(self, letter: str) -> Node:
        if letter in ("e", "i") and self._next != "_":
            return ("constant", letter)
        if self._next == "(" and self._tokens[self._at + 2 : self._at + 3] == [")"]:
            return self._application(letter)
        # The grammar does not tell capitals from small letters.
        return self._indexed(letter.lower())

    def _application(self, name: str) -> Node:
        """``f(x)``: one letter or digit in brackets is an argument, as the grammar has it."""
        self._expect("(")
        argument = self._atom()
        self._expect(")")
        return ("apply", name, argument)

    def _indexed(self, name: str) -> Node:
        if not self._accept("_"):
            return ("symbol", name)
        braces = self._accept("{")
        index = self._take()
        if not (index.isdigit() or (len(index) == 1 and index.isalpha())) or (not braces and len(index) > 1):
            raise _Unread
        if braces:
            self._expect("}")
        return ("symbol", f"{name}_{index.lower()}" if len(index) == 1 else f"{name}_{{{index}}}")

    def _group(self) -> Node:
        self._expect("{")
        return self._enclosed("}")

    def _enclosed(self, closing: str) -> Node:
        bars, self._open_bars = self._open_bars, 0
        inner = self._expression()
        self._expect(closing)
        self._open_bars = bars
        return inner

    def _bars(self) -> Node:
        if self._open_bars:
            raise _Unread
        self._open_bars = 1
        inner = self._expression()
        self._expect("|")
        self._open_bars = 0
        return ("abs", inner)

    def _root(self) -> Node:
        degree: Node = ("int", 2)
        if self._accept("["):
            degree = self._expression()
            self._expect("]")
        return ("root", self._group(), degree)
