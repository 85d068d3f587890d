"""Folds are disjoint, of equal size, stratified, and keep groups and copies together."""

import numpy as np
import pytest

from dlcli.data.folds import draw_folds
from dlcli.errors import InputError

NAMES = [f"{number}.png" for number in range(103)]
LABELS = np.array([0] * 60 + [1] * 33 + [2] * 10, np.int32)


def folds(
    labels: np.ndarray = LABELS,
    *,
    groups: list[str] | None = None,
    contents: list[str] | None = None,
    number: int = 5,
    seed: int = 0,
) -> np.ndarray:
    names = NAMES[: len(labels)]
    return draw_folds(
        names,
        labels,
        groups,
        contents or names,
        num_classes=int(labels.max()) + 1,
        num_folds=number,
        seed=seed,
        source="photos",
    )


def test_each_class_is_spread_evenly() -> None:
    drawn = folds()
    sizes = np.bincount(drawn, minlength=5)
    assert sizes.max() - sizes.min() <= 1
    for label in range(3):
        counts = np.bincount(drawn[label == LABELS], minlength=5)
        assert counts.max() - counts.min() <= 1
    assert (folds() == drawn).all()
    assert (folds(seed=1) != drawn).any()


def test_the_fold_of_a_sample_does_not_depend_on_the_order_of_the_files() -> None:
    order = np.random.default_rng(0).permutation(len(NAMES))
    names = [NAMES[i] for i in order]
    drawn = draw_folds(names, LABELS[order], None, names, num_classes=3, num_folds=5, seed=0, source="photos")
    assert (drawn == folds()[order]).all()


def test_copies_stay_together() -> None:
    contents = [f"content {number // 2}" for number in range(100)]
    drawn = folds(np.zeros(100, np.int32), contents=contents)
    assert (drawn[::2] == drawn[1::2]).all()
    assert (np.bincount(drawn) == 20).all()


def test_groups_stay_together_and_every_fold_has_some() -> None:
    groups = [f"patient {number % 11}" for number in range(103)]
    contents = [*NAMES[:-1], NAMES[0]]  # the last one, of patient 3, is a copy of the first, of patient 0
    drawn = folds(groups=groups, contents=contents)
    for group in set(groups):
        assert len(set(drawn[np.array(groups) == group])) == 1
    assert drawn[0] == drawn[-1]
    assert sorted(set(drawn)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("labels", "groups", "error"),
    [
        (np.array([0, 0, 0, 0], np.int32), None, "Received 4 samples, 4 of the rarest class, and 5 folds"),
        (np.array([0] * 9 + [1], np.int32), None, "Received 10 samples, 1 of the rarest class, and 5 folds"),
        (np.array([0] * 9, np.int32), ["a", "b", "c"] * 3, "Groups: 3, folds: 5"),
    ],
)
def test_too_few_samples_or_groups(labels: np.ndarray, groups: list[str] | None, error: str) -> None:
    with pytest.raises(InputError, match=f"^photos: data.fold: .* {error}"):
        folds(labels, groups=groups)
