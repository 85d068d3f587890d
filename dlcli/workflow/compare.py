"""Two configurations or two runs side by side."""

from collections.abc import Mapping
from typing import Any

ABSENT = "(absent)"


def flatten(values: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one by dotted key, such as ``model.blocks.0.filters``.

    Lists of mappings are entered, other lists are values.
    """
    if isinstance(values, (list, tuple)):
        if not any(isinstance(item, Mapping) for item in values):
            return {prefix: list(values)}
        values = {str(position): value for position, value in enumerate(values)}
    if not isinstance(values, Mapping) or not values:
        return {prefix: values}
    pairs = [(str(key), value) for key, value in values.items()]
    flat: dict[str, Any] = {}
    for key, value in pairs:
        flat |= flatten(value, f"{prefix}.{key}" if prefix else key)
    return flat


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The dotted keys whose values differ, with both values."""
    first, second = flatten(one), flatten(other)
    keys = [*first, *(key for key in second if key not in first)]
    pairs = {key: (first.get(key, ABSENT), second.get(key, ABSENT)) for key in keys}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}
