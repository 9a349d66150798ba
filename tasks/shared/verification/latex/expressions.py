"""Read expressions: sums, products, quotients, powers, functions, roots, absolute values, and their letters."""

from collections.abc import Callable

from tasks.shared.verification.latex.tokens import Cursor, Unread
from tasks.shared.verification.latex.tree import Node, is_rational

_GREEK = frozenset(
    rf"\{name}"
    for name in "alpha beta delta epsilon eta theta kappa lambda mu nu xi rho sigma tau phi chi psi omega".split()
)
_FUNCTIONS = frozenset(r"\sin \cos \tan \cot \sec \csc \arcsin \arccos \arctan \sinh \cosh \tanh \exp \ln \log".split())
_UNREAD_LETTERS = frozenset("Ed")
"""``E`` is a symbol to the grammar and a constant to others; ``d`` may be a differential."""


def _quotient(upper: Node, lower: Node) -> Node:
    if lower == ("int", 0):
        raise Unread
    return ("div", upper, lower)


class ExpressionReader(Cursor):
    """Recursive descent from a sum to its letters. Every method raises Unread at what is not surely in the subset."""

    def __init__(self, tokens: list[str]) -> None:
        super().__init__(tokens)
        self.open_bars = 0
        self._atoms: dict[str, Callable[[], Node]] = {
            "(": lambda: self._enclosed(")"),
            "{": lambda: self._enclosed("}"),
            "|": self._bars,
            r"\frac": lambda: _quotient(self._group(), self._group()),
            r"\binom": lambda: ("binomial", self._group(), self._group()),
            r"\sqrt": self._root,
            r"\lfloor": lambda: ("floor", self._enclosed(r"\rfloor")),
        }

    def expression(self) -> Node:
        """A sum, which may be of one term."""
        terms = [self._signed_term()]
        while self.next in ("+", "-"):
            negative = self.take() == "-"
            term = self.term()
            terms.append(("neg", term) if negative else term)
        return terms[0] if len(terms) == 1 else ("add", *terms)

    def _signed_term(self) -> Node:
        if self.accept("-"):
            return ("neg", self.term())
        self.accept("+")
        return self.term()

    def term(self) -> Node:
        """A product or quotient without a sign in front."""
        left = self._product()
        while self.next in ("*", r"\cdot", r"\times", "/", r"\div"):
            divides = self.take() in ("/", r"\div")
            right = self._product()
            left = _quotient(left, right) if divides else ("mul", left, right)
        return left

    def _product(self, *, in_function: bool = False) -> Node:
        """Factors side by side; without an argument's brackets, those of a function end at the next function."""
        factors = [self._power()]
        while self._starts_factor() and not (in_function and self.next in _FUNCTIONS):
            bracket = self.next == "("
            factor = self._power()
            # The grammar adds adjacent numbers (mixed numbers) and takes x(y) for a function of one argument.
            if is_rational(factors[-1]) and is_rational(factor):
                raise Unread
            if bracket and factors[-1][0] == "symbol" and factor[0] != "add":
                raise Unread
            factors.append(factor)
        return factors[0] if len(factors) == 1 else ("mul", *factors)

    def _starts_factor(self) -> bool:
        token = self.next
        if token[:1].isdigit():
            if self.tokens[self.at - 1] == ")":
                return True
            raise Unread
        if token == "|":
            return not self.open_bars
        return token[:1].isalpha() or token in self._atoms or token in _FUNCTIONS | _GREEK | {r"\pi", r"\infty"}

    def _power(self) -> Node:
        base = self._function() if self.next in _FUNCTIONS else self._atom()
        if self.accept("!"):
            base = ("factorial", base)
        if self._raised():
            self.take()
            if base[0] in ("call", "log", "factorial"):
                raise Unread
            base = ("pow", base, self._script())
        if self.next in ("!", "_") or self._raised():
            raise Unread
        return base

    def _raised(self) -> bool:
        """Whether an exponent follows, which a degree sign is not."""
        return self.next == "^" and r"\circ" not in self.tokens[self.at + 1 : self.at + 3]

    def _script(self) -> Node:
        if self.next == "{":
            return self._group()
        token = self.take()
        if token.isdigit():
            return ("int", int(token))
        if len(token) == 1 and token.isalpha() and token not in _UNREAD_LETTERS:
            return self._letter(token)
        raise Unread

    def _function(self) -> Node:
        name = self.take()[1:]
        base: Node | None = {"log": ("int", 10), "ln": ("constant", "e")}.get(name)
        if name == "log" and self.accept("_"):
            base = self._script()
        power = self._script() if self.accept("^") else None
        if power is not None and (name in ("log", "ln", "exp") or power[0] != "int"):
            raise Unread
        if self.next == "(":
            argument = self._atom()
            if self.next == "^":
                raise Unread
        else:
            argument = self._product(in_function=True)
            if self.next in ("*", "/", r"\cdot", r"\times", r"\div"):
                raise Unread
        called = ("log", argument, base) if base else ("call", name, argument)
        return called if power is None else ("pow", called, power)

    def _atom(self) -> Node:
        token = self.take()
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
        raise Unread

    def _letter(self, letter: str) -> Node:
        if letter in ("e", "i") and self.next != "_":
            return ("constant", letter)
        if self.next == "(" and self.tokens[self.at + 2 : self.at + 3] == [")"]:
            return self._application(letter)
        # The grammar does not tell capitals from small letters.
        return self._indexed(letter.lower())

    def _application(self, name: str) -> Node:
        """``f(x)``: one letter or digit in brackets is an argument, as the grammar has it."""
        self.expect("(")
        argument = self._atom()
        self.expect(")")
        return ("apply", name, argument)

    def _indexed(self, name: str) -> Node:
        if not self.accept("_"):
            return ("symbol", name)
        braces = self.accept("{")
        index = self.take()
        if not (index.isdigit() or (len(index) == 1 and index.isalpha())) or (not braces and len(index) > 1):
            raise Unread
        if braces:
            self.expect("}")
        return ("symbol", f"{name}_{index.lower()}" if len(index) == 1 else f"{name}_{{{index}}}")

    def _group(self) -> Node:
        self.expect("{")
        return self._enclosed("}")

    def _enclosed(self, closing: str) -> Node:
        bars, self.open_bars = self.open_bars, 0
        inner = self.expression()
        self.expect(closing)
        self.open_bars = bars
        return inner

    def _bars(self) -> Node:
        if self.open_bars:
            raise Unread
        self.open_bars = 1
        inner = self.expression()
        self.expect("|")
        self.open_bars = 0
        return ("abs", inner)

    def _root(self) -> Node:
        degree: Node = ("int", 2)
        if self.accept("["):
            degree = self.expression()
            self.expect("]")
        return ("root", self._group(), degree)
