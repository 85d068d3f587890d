"""Dividing samples into folds: parts of equal size, stratified by class, with each group in one part.

As for the splits, a sample's fold depends on a hash of the seed and its name.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dlcli.data.splits import Labels, assign_groups, join_groups, members_by_class
from dlcli.errors import InputError


def draw_folds(
    names: Sequence[str],
    labels: Labels,
    groups: Sequence[str] | None,
    contents: Sequence[str],
    *,
    num_classes: int,
    num_folds: int,
    seed: int,
    source: str,
) -> NDArray[np.int64]:
    """The fold of each sample, ``[n]``, from 0 on.

    Samples with the same content stay together, and so do groups that share a content.

    Args:
        source: of the samples, for messages.

    Raises:
        InputError: there are too few samples or groups for so many folds, or a class has a single one, which could not
            be in training and validation.
    """
    if groups is not None:
        joined = join_groups(groups, contents)
        if len(set(joined)) < num_folds:
            raise InputError(
                f"{source}: data.fold: there must be at least as many groups as folds besides those of the test split. "
                f"Groups: {len(set(joined))}, folds: {num_folds}."
            )
        shares = np.full(num_folds, 1 / num_folds)
        return assign_groups(labels, joined, num_classes=num_classes, shares=shares, seed=seed).astype(np.int64)
    first, original = np.unique(np.asarray(contents, dtype=object).astype(str), return_index=True, return_inverse=True)[
        1:
    ]
    counts = np.bincount(labels[first], minlength=num_classes)
    if len(first) < num_folds or (counts == 1).any():
        least = int(counts[counts > 0].min())
        raise InputError(
            f"{source}: data.fold: there must be at least as many samples as folds, and two of each class that are not "
            f"copies. Received {len(first):,} samples, {least:,} of the rarest class, and {num_folds} folds."
        )
    # the classes follow one another around the folds, so that the sizes of the folds differ by 1 at most
    order = np.concatenate(members_by_class([names[i] for i in first], labels[first], num_classes, seed))
    folds = np.empty(len(first), np.int64)
    folds[order] = np.arange(len(first)) % num_folds
    return folds[original]
