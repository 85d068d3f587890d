"""Compares the outputs of an exported model with those of the Keras model."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dlcli.exporting.formats import Bound

Arrays = Mapping[str, NDArray[Any]]
"""Inputs or outputs of a model by name, ``[batch, …]`` each."""
Decision = Literal["class", "labels"]
SAME_BOX = 0.9
"""The intersection over union from which on two boxes count as the same."""


@dataclass(frozen=True)
class Comparison:
    """How far two models agree on some samples.

    Attributes:
        difference: the largest absolute difference of an output as a fraction of its range among the samples, that of
            probabilities 1; NaN if a number of the exported model is not finite; None for outputs that are text.
        mean: the mean over the samples of the largest difference of each, as such a fraction; None for outputs that are
            text, and for objects.
        agreement: the proportion of equal decisions; None for outputs that are numbers.
        decision: what is compared: top class, labels, tags, pixels, objects.
        of_outputs: the largest absolute difference of each output, in its own unit.
    """

    difference: float | None
    mean: float | None
    agreement: float | None
    decision: str
    of_outputs: Mapping[str, float]

    @property
    def is_finite(self) -> bool:
        """Whether all numbers of the exported model are finite where those of the Keras model are."""
        return self.difference is None or math.isfinite(self.difference)

    def is_within(self, bound: Bound) -> bool:
        """Whether all are within a bound."""
        is_near = self.difference is None or self.difference <= bound.difference  # false for NaN
        is_near &= self.mean is None or self.mean <= bound.mean
        return is_near and (self.agreement is None or self.agreement >= bound.agreement)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "largest_difference": self.difference if self.is_finite else None,
            "mean_difference": self.mean if self.is_finite else None,
            "agreement": self.agreement,
            "agreement_of": self.decision,
            "of_outputs": {name: value if math.isfinite(value) else None for name, value in self.of_outputs.items()},
        }


def compare_outputs(
    reference: Sequence[Arrays],
    exported: Sequence[Arrays],
    *,
    decided: str | None = None,
    decision: Decision = "class",
    noun: str = "top class",
) -> Comparison:
    """Compare outputs that belong together value by value.

    Args:
        reference, exported: the outputs of each batch.
        decided: the output of which a class is chosen (the largest value of the last axis), or labels (at least 0.5);
            its range is 1. None for numbers, whose range is that among the samples.
        noun: what is chosen.
    """
    of_outputs: dict[str, float] = {}
    relative: list[NDArray[np.float64]] = []  # of each output, the largest difference of each sample
    for name in reference[0]:
        ours = [batch[name] for batch in reference]
        theirs = [batch[name] for batch in exported]
        of_samples = np.concatenate([_largest(one, other) for one, other in zip(ours, theirs, strict=True)])
        of_outputs[name] = float(np.max(of_samples))
        relative.append(of_samples / (1.0 if name == decided else _range(ours)))
    largest = np.max(relative, axis=0)
    agreement = None
    if decided is not None:
        same = [
            _decisions(one[decided], decision) == _decisions(other[decided], decision)
            for one, other in zip(reference, exported, strict=True)
        ]
        agreement = float(np.mean(np.concatenate([part.ravel() for part in same])))
    return Comparison(float(largest.max()), float(largest.mean()), agreement, noun if decided else "", of_outputs)


def compare_equal(reference: Sequence[Arrays], exported: Sequence[Arrays], *, name: str, noun: str) -> Comparison:
    """Compare texts or ids ``[b, n]``, which are equal or not: the proportion of samples in which all are."""
    same = [
        (one[name] == other[name]).all(axis=-1) if one[name].shape == other[name].shape else np.zeros(len(one[name]))
        for one, other in zip(reference, exported, strict=True)
    ]
    return Comparison(None, None, float(np.mean(np.concatenate(same))), noun, {})


def compare_sequences(reference: Sequence[Arrays], exported: Sequence[Arrays]) -> Comparison:
    """Compare ``probabilities`` ``[b, steps, k]`` and sequences of ``tags`` ``[b, steps]``, -1 after the end: the
    agreement is the proportion of equal tags."""
    parts = [[{"probabilities": batch["probabilities"]} for batch in batches] for batches in (reference, exported)]
    same = [(one["tags"] == other["tags"])[one["tags"] >= 0] for one, other in zip(reference, exported, strict=True)]
    numbers = compare_outputs(*parts, decided="probabilities")
    agreement = float(np.mean(np.concatenate(same)))
    return Comparison(numbers.difference, numbers.mean, agreement, "tags", numbers.of_outputs)


def compare_objects(reference: Sequence[Arrays], exported: Sequence[Arrays], *, score: float) -> Comparison:
    """Compare detected objects, whose order may differ: each one with that of its class that overlaps with it most.

    Args:
        reference, exported: ``boxes`` rel_xyxy ``[b, n, 4]``, ``scores`` ``[b, n]``, ``classes`` ``[b, n]``, -1 where
            there is no object, and further outputs ``[b, n, …]``.
        score: objects below it need no partner.

    Returns:
        The agreement is the proportion of the objects of both models that have a partner with an intersection over
        union of at least `SAME_BOX`; the differences are those between partners.
    """
    names = [name for name in reference[0] if name not in ("classes", "count")]
    of_outputs = dict.fromkeys(names, 0.0)
    num_objects = num_found = 0
    for ours, theirs in zip(reference, exported, strict=True):
        for one, other in zip(_images(ours), _images(theirs), strict=True):
            for first, second in ((one, other), (other, one)):
                chosen = np.flatnonzero((first["classes"] >= 0) & (first["scores"] >= score))
                overlap = _box_iou(first["boxes"][chosen], second["boxes"])
                overlap[first["classes"][chosen, None] != second["classes"]] = 0.0
                partner = overlap.argmax(axis=1)
                is_found = overlap[np.arange(len(chosen)), partner] >= SAME_BOX
                num_objects, num_found = num_objects + len(chosen), num_found + int(is_found.sum())
                for name in names:
                    found = _largest(first[name][chosen[is_found]], second[name][partner[is_found]])
                    of_outputs[name] = float(np.fmax(of_outputs[name], found.max(initial=0.0)))
    agreement = num_found / num_objects if num_objects else 1.0
    return Comparison(max(of_outputs.values()), None, agreement, f"{num_objects:,} objects of both", of_outputs)


def _images(batch: Arrays) -> list[Arrays]:
    number = len(batch["classes"])
    return [{name: values[i] for name, values in batch.items()} for i in range(number)]


def _box_iou(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.float64]:
    """Intersection over union ``[m, n]`` of boxes ``[m, 4]`` and ``[n, 4]``; 0 for those without an area."""
    sides = np.minimum(one[:, None, 2:], other[None, :, 2:]) - np.maximum(one[:, None, :2], other[None, :, :2])
    common = np.clip(sides, 0.0, None).prod(axis=-1, dtype=np.float64)
    areas = [np.asarray((boxes[:, 2:] - boxes[:, :2]).prod(axis=-1, dtype=np.float64)) for boxes in (one, other)]
    union = areas[0][:, None] + areas[1][None] - common
    return np.asarray(np.where(union > 0.0, common / np.where(union > 0.0, union, 1.0), 0.0))


def _largest(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.float64]:
    """The largest absolute difference of each sample ``[b]``."""
    if one.shape != other.shape:
        raise AssertionError(f"outputs of shape {one.shape} and {other.shape}")
    both_missing = np.isnan(one) & np.isnan(other) if one.dtype.kind == "f" else np.zeros(one.shape, bool)
    difference = np.abs(one.astype(np.float64) - other.astype(np.float64))
    different = np.where(both_missing, 0.0, difference)
    return np.asarray(different.max(axis=tuple(range(1, different.ndim)), initial=0.0))


def _range(values: Sequence[NDArray[Any]]) -> float:
    """The range of values; 1 for a constant."""
    low = min(float(np.nanmin(part)) for part in values if part.size)
    high = max(float(np.nanmax(part)) for part in values if part.size)
    return high - low if high > low else 1.0


def _decisions(values: NDArray[Any], decision: Decision) -> NDArray[Any]:
    return np.asarray(values >= 0.5) if decision == "labels" else np.asarray(values.argmax(axis=-1))
