"""Two configurations or two runs side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

ABSENT = "(absent)"


def flatten(values: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings and lists as one mapping by dotted key: ``{"train.epochs": 5, "model.blocks.0.filters": 32}``."""
    if isinstance(values, Mapping) and values:
        pairs = [(str(key), value) for key, value in values.items()]
    elif isinstance(values, Sequence) and not isinstance(values, str) and values:
        pairs = [(str(position), value) for position, value in enumerate(values)]
    else:
        return {prefix: [] if isinstance(values, Sequence) and not isinstance(values, str) else values}
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
