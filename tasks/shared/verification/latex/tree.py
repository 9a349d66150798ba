"""What a read answer is made of: plain tuples, so that equal trees compare equal and can be keys.

A node is `(kind, *parts)`. Expressions: `("int", n)`, `("decimal", text)`, `("symbol", name)`, `("constant", name)`,
`("add", *terms)`, `("mul", *factors)`, `("neg", x)`, `("div", x, y)`, `("pow", x, y)`, `("root", x, n)`, `("abs", x)`,
`("call", function, x)`, `("log", x, base)`, `("floor", x)`, `("factorial", x)`, `("binomial", n, k)`, and
`("apply", name, x)`, a function that nobody knows.
Shapes: `("list", *items)`, `("set", *items)`, `("tuple", *items)`, `("interval", brackets, x, y)`, `("matrix", *rows)`,
`("union", *intervals)`, `("relation", sign, x, y)`, `("pm", x, y)`, which stands for two items of a list.
"""

from typing import Any, TypeAlias

Node: TypeAlias = tuple[Any, ...]

RATIONAL_OPERATIONS = frozenset({"add", "mul", "neg", "div", "pow"})


def is_rational(node: Node) -> bool:
    """Whether a node is built from numerals and plain arithmetic alone."""
    if node[0] in ("int", "decimal"):
        return True
    return node[0] in RATIONAL_OPERATIONS and all(is_rational(part) for part in node[1:])


def symbols(node: Node) -> frozenset[str]:
    """Names of all symbols in a tree."""
    if node[0] == "symbol":
        return frozenset({node[1]})
    return frozenset().union(*(symbols(part) for part in node[1:] if isinstance(part, tuple)))


def has_decimal(node: Node) -> bool:
    """Whether a numeral with a decimal point stands anywhere in a tree, so that values may be rounded."""
    return node[0] == "decimal" or any(has_decimal(part) for part in node[1:] if isinstance(part, tuple))
