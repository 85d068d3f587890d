"""Describes the types and values of a recipe in the words of an error message."""

import math
import types
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen

from dlcli.recipe.language.errors import shortened
from dlcli.recipe.language.fields import Expected, NullForDefault, Section


def expected(annotation: Any) -> str:
    """What a type of the schema accepts: ``a whole number > 0``, ``a list of 2 numbers``, ``true or false``."""
    return _words(annotation, plural=False)


def received(value: Any) -> str:
    """The value in the recipe: ``'thirty'``, ``30.5``, ``a section``, ``a list of 3``."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"'{shortened(value)}'"
    if isinstance(value, tuple):
        return f"a list of {len(value)}" if value else "an empty list"
    if isinstance(value, dict):
        return "a section"
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    return str(value)


def split_annotated(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type without its metadata, and the metadata."""
    if get_origin(annotation) is Annotated:
        base, *metadata = get_args(annotation)
        return base, tuple(metadata)
    return annotation, ()


def union_members(annotation: Any) -> tuple[Any, ...]:
    """The members of a union; any other type is its own only member."""
    base, _ = split_annotated(annotation)
    return get_args(base) if get_origin(base) in (Union, types.UnionType) else (annotation,)


def is_section(annotation: Any) -> bool:
    base, _ = split_annotated(annotation)
    return isinstance(base, type) and issubclass(base, Section)


def kinds_of(section: type[Section]) -> tuple[str, ...]:
    """The values of a section's ``kind``."""
    return get_args(section.model_fields["kind"].annotation)


def listed(names: Iterable[object], conjunction: str = "or") -> str:
    """``a, b or c``."""
    *first, last = [str(name) for name in names]
    return f"{', '.join(first)} {conjunction} {last}" if first else last


def _words(annotation: Any, plural: bool) -> str:
    base, metadata = split_annotated(annotation)
    others = tuple(item for item in metadata if not isinstance(item, NullForDefault))
    if len(others) < len(metadata):
        return f"{_words(Annotated[base, *others] if others else base, plural)}, or null"
    for item in metadata:
        if isinstance(item, Expected):
            return item.words
    members = union_members(base)
    if len(members) > 1:
        sections = [member for member in members if is_section(member)]
        words = [_section_words(sections, plural)] if sections else []
        words += [_words(member, plural) for member in members if member not in (*sections, types.NoneType)]
        return listed(words) + (", or null" if types.NoneType in members else "")
    if is_section(base):
        return _section_words([base], plural)
    arguments = get_args(base)
    origin = get_origin(base)
    if origin is Literal:
        return f"one of {', '.join(map(str, arguments))}" if len(arguments) > 1 else str(arguments[0])
    if origin is tuple:
        number = "" if arguments[-1] is Ellipsis else f"{len(arguments)} "
        least = next((f", at least {item.min_length}" for item in metadata if isinstance(item, MinLen)), "")
        return f"{'lists' if plural else 'a list'} of {number}{_words(arguments[0], plural=True)}{least}"
    if origin is dict:
        return f"{'sections' if plural else 'a section'} of names, each with {_words(arguments[1], plural=False)}"
    if base is bool:
        return "true or false"
    if base is str:
        return "text"
    noun = {int: "whole number", float: "number"}[base]
    return f"{noun}s{_bounds(metadata)}" if plural else f"a {noun}{_bounds(metadata)}"


def _section_words(sections: Sequence[type[Section]], plural: bool) -> str:
    """Sections that differ by their kind are one section to the reader."""
    words = "sections" if plural else "a section"
    if len(sections) == 1:
        return words
    return f"{words} whose kind is {listed(kind for section in sections for kind in kinds_of(section))}"


def _bounds(metadata: tuple[Any, ...]) -> str:
    """`` > 0`` or `` in [0, 1)``; nothing for a type without bounds."""
    lower = next((item for item in metadata if isinstance(item, (Gt, Ge))), None)
    upper = next((item for item in metadata if isinstance(item, (Lt, Le))), None)
    match lower, upper:
        case Gt(gt=low), None:
            return f" > {low}"
        case Ge(ge=low), None:
            return f" >= {low}"
        case ((Gt() | Ge()), (Lt() | Le())):
            opening, low = ("(", lower.gt) if isinstance(lower, Gt) else ("[", lower.ge)
            closing, high = (")", upper.lt) if isinstance(upper, Lt) else ("]", upper.le)
            return f" in {opening}{low}, {high}{closing}"
    return ""
