"""Predictions as named tensors: from rows of plain values to arrays, by the names of their entries."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

PROBABILITIES = "probabilities"


def tensors_of(rows: Sequence[Mapping[str, Any]], classes: Sequence[str]) -> dict[str, NDArray[Any]]:
    """The entries of some rows, stacked: numbers float32 or int64 [n], lists of numbers float32 [n, k], texts [n].

    What is neither is written as JSON text. The list ``top`` of a classifier becomes ``probabilities`` [n, classes] if
    it has all classes.

    Args:
        classes: in the order of the probabilities.
    """
    tensors: dict[str, NDArray[Any]] = {}
    for name in rows[0]:
        values = [row.get(name) for row in rows]
        if name == "top" and (probabilities := _probabilities(values, classes)) is not None:
            tensors[PROBABILITIES] = probabilities
        else:
            tensors[name] = _stacked(values)
    return tensors


def _probabilities(values: Sequence[Any], classes: Sequence[str]) -> NDArray[np.float32] | None:
    """The probabilities of lists of classes, by class; None if some are missing."""
    found = [{entry["class"]: entry["probability"] for entry in value} for value in values]
    if any(row.keys() != set(classes) for row in found):
        return None
    return np.array([[row[name] for name in classes] for row in found], np.float32)


def _stacked(values: Sequence[Any]) -> NDArray[Any]:
    if all(type(value) is bool for value in values):
        return np.array(values, np.bool_)
    if all(type(value) is int for value in values):
        return np.array(values, np.int64)
    if all(type(value) in (int, float) for value in values):
        return np.array(values, np.float32)
    if all(_is_vector(value) for value in values) and len({len(value) for value in values}) == 1:
        return np.array(values, np.float32)
    texts = [value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for value in values]
    return np.array(texts, np.object_)


def _is_vector(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(entry) in (int, float) for entry in value)
