"""What every section of a recipe is made of: the base class, and numbers that may be written as fractions."""

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

FRACTION = re.compile(r"\s*([-+]?\d+(?:\.\d+)?)\s*/\s*(\d+(?:\.\d+)?)\s*")


class Section(BaseModel):
    """A mapping of a recipe: unknown keys refused, types strict (``"30"`` is no number), immutable once read."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True)


def _read_fraction(value: Any) -> Any:
    """Turns ``"8/255"`` into 0.03137…; anything else is left to the type check.

    Raises:
        ValueError: the denominator is 0.
    """
    if not isinstance(value, str):
        return value
    match = FRACTION.fullmatch(value)
    if match is None:
        return value
    if float(match[2]) == 0:
        raise ValueError("a fraction's denominator must not be 0")
    return float(match[1]) / float(match[2])


def _number_schema(**bounds: float) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [{"type": "number", **bounds}, {"type": "string", "pattern": "^[-+0-9. ]+/[0-9. ]+$"}]})


Number = Annotated[float, BeforeValidator(_read_fraction), _number_schema()]
PositiveNumber = Annotated[float, Field(gt=0), BeforeValidator(_read_fraction), _number_schema(exclusiveMinimum=0)]
NonNegativeNumber = Annotated[float, Field(ge=0), BeforeValidator(_read_fraction), _number_schema(minimum=0)]
Proportion = Annotated[  # in [0, 1), as of samples or of units
    float, Field(ge=0, lt=1), BeforeValidator(_read_fraction), _number_schema(minimum=0, exclusiveMaximum=1)
]
Count = Annotated[int, Field(gt=0)]
