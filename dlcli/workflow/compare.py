"""Comparison of two configurations or runs."""

from collections.abc import Mapping
from typing import Any

ABSENT = "(absent)"


def differences(one: Any, other: Any, key: str = "") -> dict[str, tuple[Any, Any]]:
    """Map each dotted key whose values differ, such as ``model.blocks.0.filters``, to both values.

    Items of lists of mappings have keys too. A section that only one side has is one difference, not one for each of
    its keys.
    """
    first, second = _parts(one), _parts(other)
    if first is None or second is None:
        return {} if _plain(one) == _plain(other) else {key: (_plain(one), _plain(other))}
    result: dict[str, tuple[Any, Any]] = {}
    for part in first | second:
        result |= differences(first.get(part, ABSENT), second.get(part, ABSENT), f"{key}.{part}" if key else part)
    return result


def _parts(value: Any) -> dict[str, Any] | None:
    """The values of a mapping, or of a list of mappings, by key; None for another value."""
    if isinstance(value, (list, tuple)) and any(isinstance(item, Mapping) for item in value):
        return {str(position): item for position, item in enumerate(value)}
    return {str(key): item for key, item in value.items()} if isinstance(value, Mapping) else None


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
