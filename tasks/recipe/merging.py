"""Plain values and dotted overrides -> one validated recipe, with errors that name the key, the value and the fix."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import UnionType
from typing import Any, ClassVar, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, JsonValue, ValidationError
from pydantic_core import ErrorDetails

from tasks.config import OF_RECIPE, Frozen
from tasks.errors import did_you_mean
from tasks.text import has_password, without_passwords

RENAMED = {
    "generation": "generate",
    "filtering": "filter",
    "materialize": "dataset, rl_prompts",
    "prompts": "rl_prompts",
    "midtraining": "midtrain",
    "reinforce": "rmt_train",
    "rmt": "rmt_train",
    "evaluation": "evaluate",
    "prediction": "predict",
}
"""Sections and stages that had another name in 0.1; each is refused with the new one named."""
_TRL = (
    "top_p",
    "top_k",
    "scale_rewards",
    "epsilon",
    "epsilon_high",
    "importance_sampling_level",
    "entropy_coef",
    "top_entropy_quantile",
)
RENAMED_SETTINGS = {
    "max_dead_steps": "max_zero_advantage_steps",
    "sampler_correction": "trl.vllm_importance_sampling_mode",
    "sampler_correction_max": "trl.vllm_importance_sampling_clip_max",
    **{name: f"trl.{name}" for name in _TRL},
}
"""Settings inside a section that had another name in 0.1; refused likewise where the section has the new one."""


class Sections(Frozen):
    """A model of sections, one for each stage, which overrides are merged onto."""

    SHARED: ClassVar[tuple[str, ...]] = ()
    """Sections that stages which have a field of that name get a copy of."""

    @classmethod
    def seeded(cls) -> list[str]:
        """Sections that get the recipe's seed."""
        return [
            name
            for name, model in section_models(cls).items()
            if "seed" in model.model_fields and OF_RECIPE in model.model_fields["seed"].metadata
        ]


R = TypeVar("R", bound=Sections)
WEB_KEY = """FSSPEC_HTTP='{"headers": {"Authorization": "Bearer KEY"}}'"""
"""How the key of a web page is given to the file system that reads it."""
SHOWN_CHARS = 80
"""Most that is shown of a refused value."""


class RecipeError(ValueError):
    """A recipe, or a key or value in it, cannot be used; the message says which and what to write instead."""


def build(kind: type[R], values: Mapping[str, Any], overrides: Mapping[str, JsonValue], *, where: str) -> R:
    """Merge dotted overrides onto plain values, share the shared sections, spread the seed, validate.

    Raises:
        RecipeError: a key that does not exist (the closest valid one is named), or a bad value.
    """
    merged = _copy(values)
    _part(kind, merged)
    for key, value in overrides.items():
        nested = _nest(key, value)
        check_keys(nested, kind, f"{where} ")
        refuse_passwords(nested, f"{where} ")
        _merge(merged, kind, key.split("."), value)
    _share(kind, merged)
    try:
        return kind.model_validate(merged)
    except ValidationError as error:
        said = {_origin(kind, item["loc"], merged): item for item in reversed(error.errors())}
        lines = [f"{key}: {_complaint(item)}" for key, item in reversed(said.items())]
        what = f"recipe {merged.get('name', '')!r}" + (f" with {where}" if where.startswith("arms.") else "")
        raise RecipeError(f"{what} does not validate:\n  " + "\n  ".join(lines)) from error


def check_keys(values: Any, model: type[BaseModel], where: str, prefix: str = "") -> None:
    """Refuse keys that the model does not have, naming the closest one it has."""
    if not isinstance(values, Mapping):
        return
    for key, value in values.items():
        if key not in model.model_fields:
            name, known = f"{prefix}{key}", [f"{prefix}{field}" for field in model.model_fields]
            raise RecipeError(f"{where}{name} is not a setting{closest(name, known)}")
        annotation = model.model_fields[key].annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            if not isinstance(value, Mapping):
                raise RecipeError(
                    f"{where}{prefix}{key} is {_short(value)}, but it is a section; set a setting in it, such as "
                    f"{prefix}{key}.{next(iter(annotation.model_fields))}"
                )
            check_keys(value, annotation, where, f"{prefix}{key}.")
        kinds = {annotation, *get_args(annotation)}
        if isinstance(value, bool) and kinds & {int, float} and bool not in kinds:
            # It would count as 0 or 1.
            raise RecipeError(f"{where}{prefix}{key} is {str(value).lower()}, but it is a number")


def _complaint(error: ErrorDetails) -> str:
    """What is wrong, with the value; a whole section is not shown, of which the message names the fields."""
    got = "" if isinstance(error["input"], Mapping) else f" (got {_short(error['input'])})"
    return error["msg"].removeprefix("Value error, ") + got


def _short(value: Any) -> str:
    text = without_passwords(repr(value))
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}..."


def refuse_passwords(values: Any, where: str, prefix: str = "") -> None:
    """Refuse addresses with a password: settings are kept with every run, for everyone who can see it."""
    if isinstance(values, Mapping | list):
        pairs = values.items() if isinstance(values, Mapping) else enumerate(values)
        for key, value in pairs:
            refuse_passwords(value, where, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(values, str) and has_password(values):
        raise RecipeError(
            f"{where}{prefix}={without_passwords(values)!r} has a password, token or signature in its address, and "
            "settings are kept with every run; leave it out, and give the key in the environment (OPENAI_API_KEY, "
            f"HF_TOKEN, AWS_*; for web pages {WEB_KEY}), or fetch the file of a signed address and give its path"
        )


def closest(name: str, known: Iterable[str]) -> str:
    """The end of an error message: the name that was probably meant, or all that there are."""
    known = list(known)
    if new := _renamed(name, known):
        return f"; it is called {new!r} now"
    return did_you_mean(name, known, likeness=0.4) or f"; there are: {', '.join(sorted(known))}"


def _renamed(name: str, known: Iterable[str]) -> str:
    """The new name of a section, stage or setting, where the known ones have it; else nothing."""
    first, dot, rest = name.partition(".")
    if first in RENAMED and RENAMED[first].split(", ")[0] in {option.partition(".")[0] for option in known}:
        return RENAMED[first] + dot + rest
    section, dot, setting = name.rpartition(".")
    new = section + dot + RENAMED_SETTINGS.get(setting, setting)
    return new if new != name and any(new == option or new.startswith(f"{option}.") for option in known) else ""


def shared_places(kind: type[Sections]) -> Iterator[tuple[str, str]]:
    """Stages, each with a shared section that it has a field for, or with the seed: set once, for all of them."""
    for name, model in section_models(kind).items():
        yield from ((name, shared) for shared in kind.SHARED if shared in model.model_fields)
    yield from ((name, "seed") for name in kind.seeded())


def _share(kind: type[Sections], merged: dict[str, Any]) -> None:
    """Copy shared sections and the seed into the stages that have a field for them.

    Raises:
        RecipeError: a stage has another value of its own there, which would be lost.
    """
    for name, shared in shared_places(kind):
        section = merged.setdefault(name, {})
        if shared in section and section[shared] != merged.get(shared):
            own = section[shared]
            key = ".".join([shared, *(list(own)[:1] if isinstance(own, Mapping) else [])])
            raise RecipeError(
                f"{name}.{key}: {shared} is one for all stages of a recipe; set {key} (got {_short(own)} for {name} "
                "alone)"
            )
        if shared in merged:
            section[shared] = merged[shared]


def _part(kind: type[Sections], merged: dict[str, Any]) -> None:
    """Take out of the stages what `_share` has put there, where the values are those of a finished recipe."""
    for name, shared in shared_places(kind):
        section = merged.get(name)
        if isinstance(section, dict) and shared in section and section[shared] == merged.get(shared):
            del section[shared]


def section_models(kind: type[Sections]) -> dict[str, type[BaseModel]]:
    """Sections with their models, without those that are shared."""
    models = {name: field.annotation for name, field in kind.model_fields.items() if name not in kind.SHARED}
    return {name: model for name, model in models.items() if isinstance(model, type) and issubclass(model, BaseModel)}


def _origin(kind: type[Sections], place: tuple[int | str, ...], values: Mapping[str, Any]) -> str:
    """Where a refused value was written: in a shared section or as the recipe's seed, not in each stage's copy."""
    if place[1:2] and place[1] in kind.SHARED:
        place = place[1:]
    elif place[1:] == ("seed",) and place[0] in kind.seeded() and "seed" in values:
        place = place[1:]
    return ".".join(map(str, place))


def _nest(key: str, value: JsonValue) -> dict[str, Any]:
    first, _, rest = key.partition(".")
    return {first: _nest(rest, value) if rest else value}


def _merge(target: dict[str, Any], kind: type[BaseModel] | None, keys: Sequence[str], value: JsonValue) -> None:
    """Set what an override says.

    A section as a whole is each setting that stands in it, so that ``rl={"steps": 3}`` and ``rl.steps=3`` are the same.
    A mapping that is one setting is replaced.
    """
    if not keys and isinstance(value, Mapping):
        for key, inner in value.items():
            _merge(target, kind, [key], inner)
        return
    first, *rest = keys
    section = _section(kind, first) if kind else None
    if not rest and not (section and isinstance(value, Mapping)):
        target[first] = value
        return
    if not isinstance(target.get(first), dict):
        target[first] = {}
    _merge(target[first], section, rest, value)


def _section(kind: type[BaseModel], key: str) -> type[BaseModel] | None:
    """The section that a field of a model is, or may be; None where it is a plain setting."""
    annotation = kind.model_fields[key].annotation if key in kind.model_fields else None
    # What a mapping holds is no section of its own.
    inner = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else ()
    options = [option for option in (annotation, *inner) if isinstance(option, type)]
    return next((option for option in options if issubclass(option, BaseModel)), None)


def _copy(value: Any) -> Any:
    return {key: _copy(item) for key, item in value.items()} if isinstance(value, Mapping) else value
