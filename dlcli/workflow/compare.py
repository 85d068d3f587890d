"""Comparison of two configurations or runs."""

from collections.abc import Mapping
from typing import Any

ABSENT = "(absent)"


def flatten(values: Any, prefix: str = "") -> dict[str, Any]:
    """Flatten nested mappings to one mapping by dotted key, such as ``model.blocks.0.filters``.

    Lists of mappings are flattened too; other lists are values.
    """
    if isinstance(values, (list, tuple)):
        if not any(isinstance(item, Mapping) for item in values):
            return {prefix: list(values)}
        values = {str(position): value for position, value in enumerate(values)}
    if not isinstance(values, Mapping) or (prefix and not values):
        return {prefix: values}
    pairs = [(str(key), value) for key, value in values.items()]
    flat: dict[str, Any] = {}
    for key, value in pairs:
        flat |= flatten(value, f"{prefix}.{key}" if prefix else key)
    return flat


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Map each dotted key whose values differ to both values."""
    first, second = flatten(one), flatten(other)
    keys = [*first, *(key for key in second if key not in first)]
    pairs = {key: (first.get(key, ABSENT), second.get(key, ABSENT)) for key in keys}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}
