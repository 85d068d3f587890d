"""Arrays of .npz files: which splits there are, and labels of every kind."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlcli.data.npz_archive import MAX_HEADER_BYTES, label_names, read_arrays, read_splits, sort_labels, splits_of
from dlcli.errors import InputError


def save(path: Path, **arrays: Any) -> Path:
    np.savez(path, **{name: np.asarray(values) for name, values in arrays.items()})
    return path


def test_only_the_given_arrays_are_read(tmp_path: Path) -> None:
    arrays, others = read_arrays(save(tmp_path / "a.npz", x=[1, 2], y=[3], z=[4]), ["y", "none", "x"])
    assert {name: array.tolist() for name, array in arrays.items()} == {"y": [3], "x": [1, 2]}
    assert others == ["z"]


def with_header(path: Path, text: str, version: tuple[int, int] = (1, 0)) -> Path:
    """An archive whose array x has this text as its header, and some data."""
    member = np.lib.format.magic(*version) + len(text).to_bytes(2 if version == (1, 0) else 4, "little")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", member + text.encode("latin-1") + bytes(128))
    return path


def header(shape: str, descr: str = "'|u1'") -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n"


@pytest.mark.parametrize(
    "text",
    [
        header("(2, 2)") * 2,
        "(" * 5000,
        "(" * 5000 + ")" * 5000,
        "[" * 5000,
        header("(True, 8, 8)"),
        header("(-1, 8)"),
        header("(2.0, 8)"),
        header("(10**9,)"),
        header("(99999999999999999999999999, 0)"),
        header("(9223372036854775807, 9223372036854775807)"),
        header("8"),
        header("(8,)", "'no type'"),
        header("(8,)", "[('a', '|u1'), ('a', '|u1')]"),
        header("(1000000000000,)", "'|V0'"),
        header("(1000000000000,)", "'<U0'"),
        header("(8,)", "('|u1', (1000000000,))"),
        header("(8,)", "[" * 200 + "]" * 200),
        "",
        "\0" * 100,
        "{" + " " * (MAX_HEADER_BYTES + 5),
        "__import__('os').abort()",
    ],
)
def test_a_hostile_header_is_a_corrupt_archive(tmp_path: Path, text: str) -> None:
    for version in ((1, 0), (2, 0), (3, 0), (9, 9)):
        file = with_header(tmp_path / "a.npz", text, version)
        with pytest.raises(InputError, match=r"a\.npz: the \.npz archive is corrupt or truncated\. Write or download"):
            read_arrays(file, ["x"])
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:  # the header says that 4 GiB follow
        archive.writestr("x.npy", np.lib.format.magic(2, 0) + b"\xff\xff\xff\xff" + text.encode())
    with pytest.raises(InputError, match="is corrupt or truncated"):
        read_arrays(tmp_path / "b.npz", ["x"])


def test_a_header_of_every_version_and_type_is_read(tmp_path: Path) -> None:
    for version in ((1, 0), (2, 0), (3, 0)):
        for array in (np.zeros((2, 3)), np.zeros(()), np.array(["a", "é"]), np.zeros((0, 4), np.int8)):
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, array, version=version)
            with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
                archive.writestr("x.npy", buffer.getvalue())
            np.testing.assert_array_equal(read_arrays(tmp_path / "a.npz", ["x"])[0]["x"], array)


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


def test_splits_have_every_usual_name(tmp_path: Path) -> None:
    file = tmp_path / "x.npz"
    np.savez(file, X_train=[1, 2], y_train=[0, 1], x_valid=[3], y_valid=[0], x_Testing=[4], y_Testing=[1], other=[5])
    arrays, left_out = read_splits(file)
    assert {name: array.tolist() for name, array in arrays.items()} == {
        "x_train": [1, 2],
        "y_train": [0, 1],
        "x_val": [3],
        "y_val": [0],
        "x_test": [4],
        "y_test": [1],
    }
    assert [item.name for item in left_out] == ["other"]
    np.savez(file, x_train=[1], y_train=[0], x_val=[3], x_dev=[3], y_val=[0])
    with pytest.raises(InputError, match=r"each split must be given once\. Received x_val and x_dev\."):
        read_splits(file)
