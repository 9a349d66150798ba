"""Plain data as JSON and back: the only thing that passes between a program under test and its judge.

What arrives is built of Python's own types, member by member. So an object that claims to equal everything, as a class
with its own `__eq__` does, does not get through.
"""

import builtins
from collections.abc import Callable
from typing import Any

_CONTAINERS: dict[str, type] = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}


def encode(value: Any, refer: Callable[[Any], int]) -> Any:
    """`value` as JSON can hold it; an object that is no plain data becomes the number that `refer` gives it."""
    match value:
        case None | bool():
            return value
        case str():
            return str.__str__(value)
        case int():
            return {"int": hex(value)}
        case float():
            return {"float": float.__repr__(value)}
        case complex():
            return {"complex": [float.__repr__(value.real), float.__repr__(value.imag)]}
        case bytes():
            return {"bytes": value.hex()}
        case dict():
            return {"dict": [[encode(key, refer), encode(item, refer)] for key, item in value.items()]}
        case type() if vars(builtins).get(value.__name__) is value:
            return {"type": value.__name__}
        case range():
            return {"range": [hex(value.start), hex(value.stop), hex(value.step)]}
    for name, kind in _CONTAINERS.items():
        if isinstance(value, kind):
            return {name: [encode(member, refer) for member in kind.__iter__(value)]}
    return {"object": refer(value)}


def decode(data: Any, find: Callable[[int], Any]) -> Any:
    """The value that was encoded; `find` gives the object of a number.

    Raises:
        ValueError: `data` is not something that `encode` writes.
    """
    if data is None or isinstance(data, bool | str):
        return data
    if not isinstance(data, dict) or len(data) != 1:
        raise ValueError("no encoded value")
    (kind, content), *_ = data.items()
    match kind:
        case "int":
            return int(content, 16)
        case "float":
            return float(content)
        case "complex":
            return complex(*map(float, content))
        case "bytes":
            return bytes.fromhex(content)
        case "dict":
            return {decode(key, find): decode(item, find) for key, item in content}
        case "range":
            return range(*(int(part, 16) for part in content))
        case "type" if isinstance(vars(builtins).get(content), type):
            return vars(builtins)[content]
        case "object":
            return find(content)
        case _ if kind in _CONTAINERS:
            return _CONTAINERS[kind](decode(member, find) for member in content)
    raise ValueError(f"no kind of value: {kind!r}")
