"""The base class of every section of a recipe, and the types that many keys share."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self, get_args

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
    ValidationInfo,
    model_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_core.core_schema import CoreSchema, no_info_before_validator_function, nullable_schema

from dlcli.files import is_url

FRACTION = r"[-+]?[0-9]+(\.[0-9]+)? */ *[0-9]+(\.[0-9]+)?"
"""A number written as a fraction, such as 8/255."""

BROKEN_RULES = "broken_rules"
"""Type of the pydantic error that carries the broken `Section.rules`."""


class Section(BaseModel):
    """A section of a recipe: unknown keys are refused, types are strict (``"30"`` is not a number), and it is
    immutable."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    @classmethod
    def dependent_defaults(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """The defaults of keys that depend on other keys of the section.

        Args:
            values: what is written in the recipe, not checked yet.
        """
        return {}

    @model_validator(mode="before")
    @classmethod
    def _fill_in_defaults(cls, values: Any) -> Any:
        """Replaces ``null`` by the default where a key allows that, and fills in the defaults that depend on others."""
        if not isinstance(values, dict):
            return values
        nulls = {key for key, value in values.items() if value is None and key in cls.model_fields}
        defaults = {
            key: cls.model_fields[key].default
            for key in nulls
            if any(isinstance(item, NullForDefault) for item in cls.model_fields[key].metadata)
        }
        defaults |= {key: value for key, value in cls.dependent_defaults(values).items() if values.get(key) is None}
        return values | defaults

    def rules(self) -> Iterator[tuple[str, str]]:
        """Yields the key (dotted where it is in a section below) and a message for each broken rule between keys."""
        yield from ()

    @model_validator(mode="after")
    def _keep_rules(self) -> Self:
        broken = tuple(self.rules())
        if broken:
            text = "; ".join(f"{key}: {message}" for key, message in broken)
            raise PydanticCustomError(BROKEN_RULES, "{text}", {"text": text, "broken": broken})
        return self


@dataclass(frozen=True)
class Expected:
    """What a value must be, in the words of an error message, where its type alone does not describe it well."""

    words: str


@dataclass(frozen=True)
class NullForDefault:
    """Allows ``null`` for the default of a key. Older recipes have it, where the schema's own default was ``null``."""

    words: str = ""
    """The default in words, where it depends on other keys: see `Section.dependent_defaults`."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return nullable_schema(handler(source))


class NotInRules:
    """For a key that no rule between keys needs: where its value is invalid, the rules are applied without it."""


class WholeNumber:
    """For a choice of whole numbers: refuses ``50.0`` and ``true``, which equal some of them in Python."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_before_validator_function(_refuse_other_types, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return handler(schema)


def _refuse_other_types(value: Any) -> Any:
    if type(value) is not int:
        raise PydanticCustomError("whole_number", "expected a whole number")
    return value


class WordForTrue:
    """For a choice of words that includes ``true``, which YAML reads as a boolean unless it is quoted."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_before_validator_function(lambda value: "true" if value is True else value, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [handler(schema), {"const": True}]}


class OneForBoth:
    """For a pair of whole numbers: allows one of them, which is then meant twice: ``224`` is read as ``[224, 224]``."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_before_validator_function(
            lambda value: (value, value) if type(value) is int else value, handler(source)
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [handler(schema), {"type": "integer", "exclusiveMinimum": 0}]}


class OneForList:
    """For a list of whole numbers or of lists: allows one whole number, which is then its only item."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_before_validator_function(
            lambda value: (value,) if type(value) is int else value, handler(source)
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [handler(schema), {"type": "integer"}]}


class FractionsAllowed:
    """Allows a number to be written as a fraction: ``8/255`` is read as 0.03137…"""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_before_validator_function(_read_fraction, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [handler(schema), {"type": "string", "pattern": f"^{FRACTION}$"}]}


def _read_fraction(value: Any) -> Any:
    """Evaluates ``"8/255"``; any other value is left to the type check.

    Raises:
        ValueError: the denominator is 0.
    """
    if not isinstance(value, str) or re.fullmatch(FRACTION, value) is None:
        return value
    numerator, denominator = value.split("/")
    if float(denominator) == 0:
        raise ValueError("a fraction's denominator must not be 0")
    return float(numerator) / float(denominator)


def _make_absolute(value: str, info: ValidationInfo) -> str:
    """The absolute path. Paths are relative to the folder of the recipe's file, which the loader passes as the
    context."""
    if info.context is None:  # a section that was built in Python, not loaded from a recipe
        return value
    return os.path.abspath(os.path.join(info.context["folder"], os.path.expanduser(value)))


def _make_path_absolute(value: str, info: ValidationInfo) -> str:
    """The same, except for run:NAME, which is looked up among the runs."""
    return value if value.startswith("run:") else _make_absolute(value, info)


def _make_absolute_unless_url(value: str, info: ValidationInfo) -> str:
    """The same, except for URLs."""
    return value if is_url(value) else _make_absolute(value, info)


def path_keys(section: type[Section]) -> frozenset[str]:
    """The keys of a section whose values are paths of files or folders."""
    fields = section.model_fields.items()
    return frozenset(key for key, field in fields if _is_path([field.annotation, *field.metadata]))


def _is_path(parts: Iterable[Any]) -> bool:
    """Whether a type is a path, or a union with one; given as the type and what is annotated."""
    return any(
        (isinstance(part, AfterValidator) and part.func in (_make_absolute, _make_absolute_unless_url))
        or _is_path([item for member in get_args(part) for item in (member, *getattr(member, "__metadata__", ()))])
        for part in parts
    )


Number = Annotated[float, FractionsAllowed()]
PositiveNumber = Annotated[float, Gt(0), FractionsAllowed()]
NonNegativeNumber = Annotated[float, Ge(0), FractionsAllowed()]
Proportion = Annotated[float, Ge(0), Lt(1), FractionsAllowed()]
PositiveProportion = Annotated[float, Gt(0), Lt(1), FractionsAllowed()]
Count = Annotated[int, Gt(0)]
Size = Annotated[tuple[Count, Count], OneForBoth()]
Seed = Annotated[int, Ge(0), Le(2**32 - 1)]  # what NumPy's and Keras's generators take
Text = Annotated[str, MinLen(1), Expected("text that is not empty")]
LocalPath = Annotated[str, MinLen(1), AfterValidator(_make_absolute), Expected("a path")]
PathOrUrl = Annotated[str, MinLen(1), AfterValidator(_make_absolute_unless_url), Expected("a path or a URL")]
PathOrRun = Annotated[str, MinLen(1), AfterValidator(_make_path_absolute), Expected("a path or run:NAME")]
RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
RunName = Annotated[
    str,
    StringConstraints(pattern=rf"^{RUN_NAME.pattern}$"),
    Expected("a name of at most 80 letters, digits, '.', '_' and '-' that starts with a letter or digit"),
]
