"""Arrays of .npz files: which splits there are, and labels of every kind."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlcli.data.npz_archive import label_names, read_arrays, read_splits, sort_labels, splits_of
from dlcli.errors import InputError


def save(path: Path, **arrays: Any) -> Path:
    np.savez(path, **{name: np.asarray(values) for name, values in arrays.items()})
    return path


def test_only_the_given_arrays_are_read(tmp_path: Path) -> None:
    arrays, others = read_arrays(save(tmp_path / "a.npz", x=[1, 2], y=[3], z=[4]), ["y", "none", "x"])
    assert {name: array.tolist() for name, array in arrays.items()} == {"y": [3], "x": [1, 2]}
    assert others == ["z"]


def test_every_split_needs_all_its_arrays(tmp_path: Path) -> None:
    file = save(tmp_path / "a.npz", x_train=[1], y_train=[1], x_val=[1], more=[1])
    with pytest.raises(
        InputError, match=r"a\.npz: there must be arrays x_val and y_val\. Received 'x_train', 'y_train'"
    ):
        read_splits(file)
    file = save(tmp_path / "b.npz", x_train=[1, 2], y_train=[1])
    with pytest.raises(InputError, match=r"x_train and y_train must have one entry for each sample\. Received shapes"):
        read_splits(file)
    arrays, left_out = read_splits(save(tmp_path / "c.npz", x_train=[1], y_train=[1], more=[1]))
    assert list(arrays) == ["x_train", "y_train"]
    assert [(item.name, item.kind) for item in left_out] == [("more", "unused")]


def test_a_single_split_is_enough_for_a_trained_model() -> None:
    arrays = {"x_test": np.zeros(1), "y_test": np.zeros(1)}
    options: dict[str, Any] = {"axes": ("x", "y")}
    assert splits_of(Path("a.npz"), arrays, [], is_trained=True, **options) == {"test": "test"}
    with pytest.raises(InputError, match=r"there must be arrays x_train and y_train\. Received 'x_test', 'y_test'\."):
        splits_of(Path("a.npz"), arrays, [], is_trained=False, **options)
    both = arrays | {"x_val": np.zeros(1)}
    with pytest.raises(InputError, match=r"there must be arrays x_train and y_train"):
        splits_of(Path("a.npz"), both, [], is_trained=True, **options)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([2, 0, 10], ["2", "0", "10"]),
        ([[2], [0]], ["2", "0"]),
        ([[0, 1], [1, 0]], ["1", "0"]),
        ([2.0, 1.0], ["2", "1"]),
        ([True, False], ["1", "0"]),
        (["b", "a"], ["b", "a"]),
        (np.array(["é".encode()]), ["é"]),
    ],
)
def test_labels_of_every_kind(labels: Any, expected: list[str]) -> None:
    assert label_names(np.asarray(labels), "y") == expected


def test_labels_are_sorted_as_numbers_or_as_strings() -> None:
    assert sort_labels(["10", "9", "10"]) == ("9", "10")
    assert sort_labels(["10", "9", "a"]) == ("10", "9", "a")
