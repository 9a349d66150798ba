"""What stands below the fields of settings in the code, for lists and editors.

pydantic would find it too (`use_attribute_docstrings`), but by reading the source of every model in every process: a
third of the time that an import of the flows takes.
"""

import ast
from functools import cache
from inspect import cleandoc, get_annotations, getsource
from itertools import pairwise
from textwrap import dedent

from pydantic import BaseModel


def docstring(kind: type[BaseModel], name: str) -> str:
    """The docstring of a field; empty where it has none."""
    return _docstrings(owner(kind, name)).get(name, "")


def owner(kind: type[BaseModel], name: str) -> type:
    """The class that declares a field: the model itself, or one that it stands on."""
    return next(base for base in kind.__mro__ if name in get_annotations(base))


@cache
def _docstrings(kind: type) -> dict[str, str]:
    """Docstrings of the fields that a class declares itself."""
    (declared,) = ast.parse(dedent(getsource(kind))).body
    assert isinstance(declared, ast.ClassDef)
    found: dict[str, str] = {}
    for field, below in pairwise(declared.body):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = cleandoc(text)
    return found
