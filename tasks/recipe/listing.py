"""Every setting of the recipes as people set it: its dotted name, type, default, source and sentence."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, JsonValue
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_jsonable_python

from tasks.recipe.docstrings import docstring, owner
from tasks.recipe.loading import METHODS
from tasks.recipe.merging import RecipeError, closest

Source = Literal["paper", "library", "ours", ""]
"""Where a default is from; empty where its docstring does not say."""
WORDS: tuple[tuple[str, Source], ...] = (
    (r"^(?:(?!\(paper).)*\((?:\S+: )?ours\b", "ours"),
    (r"\(paper\b", "paper"),
    (r"\bours\b", "ours"),
    (r"\barXiv\b|\bpaper\b|\bRPT\b|\bGRPO\b", "paper"),
    (r"\b(Math-Verify|TRL|transformers|vLLM)\b.*\bdefault\b", "library"),
)
"""Words of a docstring that say where the default is from: the first mark in brackets, then others."""
OWN_DEFAULTS = re.compile(r'(?<!")\bours\b')
"""Words of a class about all of its defaults that do not say otherwise."""
READ, FILLED_IN = {"name"}, {"source_digest", "evaluation_digest", "followed"}
"""Fields of a recipe and of sections that nobody sets: a file's name, and what sources and other sections hold."""


@dataclass(frozen=True)
class Setting:
    """One setting of a recipe."""

    name: str
    type: str
    default: JsonValue
    source: Source
    text: str
    methods: tuple[str, ...]
    """Methods whose recipes have it with this default."""


def settings(section: str = "") -> list[Setting]:
    """All settings in the order of the recipes, or those whose name begins with the parts of a dotted one.

    A section that several stages share is listed once, under the name by which it is set.

    Raises:
        RecipeError: nothing is called so; the closest name is named.
    """
    found: dict[tuple[str, str], Setting] = {}
    for method, kind in METHODS.items():
        for item in _listed(kind, kind().model_dump(mode="json"), kind.SHARED):
            same = found.get((item.name, repr(item.default)), replace(item, type="", methods=()))
            types = dict.fromkeys(filter(None, (*same.type.split(" | "), *item.type.split(" | "))))
            methods = tuple(dict.fromkeys((*same.methods, method)))
            found[item.name, repr(item.default)] = replace(same, type=" | ".join(types), methods=methods)
    wanted = [item for item in found.values() if f"{item.name}.".startswith(f"{section}." if section else "")]
    if not wanted:
        parts = {
            item.name.rsplit(".", count)[0] for item in found.values() for count in range(item.name.count(".") + 1)
        }
        raise RecipeError(f"{section} is not a section or a setting{closest(section, parts)}")
    return wanted


def sections() -> list[str]:
    """Names of the sections, in the order of the recipes."""
    return list(dict.fromkeys(item.name.partition(".")[0] for item in settings() if "." in item.name))


def _listed(kind: type[BaseModel], defaults: Any, shared: tuple[str, ...], prefix: str = "") -> Iterator[Setting]:
    # A stage's copy of a shared section is what the recipe says of the section.
    hidden = {*shared, *FILLED_IN} if prefix else READ
    for name, field in kind.model_fields.items():
        if name in hidden:
            continue
        default = defaults[name] if isinstance(defaults, dict) and name in defaults else _default(field)
        inner = _models(field.annotation)
        if not inner or field.annotation not in inner:
            yield Setting(prefix + name, type_text(field), default, source(kind, name), _text(kind, name), ())
        for model in inner:
            yield from _listed(model, default, shared, f"{prefix}{name}.")


def _default(field: FieldInfo) -> JsonValue:
    value = field.get_default(call_default_factory=True, validated_data={})
    return None if value is PydanticUndefined else to_jsonable_python(value)


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Sections that a field may be; what a list or a mapping holds has no names of its own."""
    options = get_args(annotation) if get_origin(annotation) in (Union, UnionType, Annotated) else (annotation,)
    return [option for option in options if isinstance(option, type) and issubclass(option, BaseModel)]


def _text(kind: type[BaseModel], name: str) -> str:
    return " ".join(docstring(kind, name).split())


def source(kind: type[BaseModel], name: str) -> Source:
    """Where the default of a field is from, as its docstring says, or else that of the class which declares it."""
    text = _text(kind, name)
    for pattern, said in WORDS:
        if re.search(pattern, text):
            return said
    return "ours" if OWN_DEFAULTS.search(owner(kind, name).__doc__ or "") else ""


def type_text(field: FieldInfo) -> str:
    """The type of a field's values with their bounds, in a recipe's own words."""
    text = _type(field.annotation)
    for bound, sign in (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<")):
        limits = [getattr(item, bound) for item in field.metadata if getattr(item, bound, None) is not None]
        text += "".join(f" {sign} {limit}" for limit in limits)
    return text


def _type(annotation: Any) -> str:
    origin, args = get_origin(annotation), get_args(annotation)
    if annotation is NoneType:
        return "null"
    if origin is Annotated:
        return _type(args[0])
    if origin is Literal:
        return " | ".join(map(str, args))
    if origin in (Union, UnionType):
        return " | ".join(dict.fromkeys(map(_type, args)))
    if origin in (tuple, list):
        return f"list of {' and '.join(dict.fromkeys(_type(item) for item in args if item is not ...))}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    names = {"str": "text", "dict": "mapping", "Mapping": "mapping", "bool": "true | false"}
    name = getattr(origin or annotation, "__name__", str(annotation))
    return names.get(name, name)
