"""Series from arrays, tables and .ts files, and the errors in them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlcli.data.sequences.dataset import SequenceDataset
from dlcli.data.series.long_table import read_sequence_csv
from dlcli.data.series.npz import read_sequence_npz
from dlcli.data.series.ts_archive import read_ts
from dlcli.data.series.unlabeled import read_unlabeled_series
from dlcli.errors import InputError

COMMON: dict[str, Any] = {"validation": 0.0, "test": 0.0, "split_seed": 0, "limit": None, "allow_leakage": False}
NAN = float("nan")
SAMPLES = [[[1.0, 2.0], [3.0, NAN], [5.0, 6.0]], [[7.0, 8.0]], [[NAN, NAN], [9.0, 1.0]]]
LABELS = ["up", "down", "up"]


def from_npz(path: Path, **options: Any) -> SequenceDataset:
    return read_sequence_npz(path=path, **{"goal": "class", **COMMON, **options})


def from_csv(path: Path, **options: Any) -> SequenceDataset:
    known = {"sequence": "id", "goal_column": "y", "time": None, "features": None, "split": None, "group": None}
    return read_sequence_csv(path=path, **{**known, "goal": "class", **COMMON, **options})


def from_ts(path: Path, **options: Any) -> SequenceDataset:
    return read_ts(path=path, goal="class", **{"validation_path": None, "test_path": None, **COMMON, **options})


def steps(dataset: SequenceDataset, split: str = "train") -> list[list[list[float]]]:
    values = dataset.splits[split].values
    assert values is not None
    return [values[i].tolist() for i in range(len(values))]


def error(read: Callable[..., Any], path: Path, **options: Any) -> list[str]:
    with pytest.raises(InputError) as error:
        read(path, **options)
    return str(error.value).replace(f"{path.parent}/", "").splitlines()


def save(path: Path, **arrays: Any) -> Path:
    np.savez(path, **{name: np.array(values) for name, values in arrays.items()})
    return path


def padded() -> np.ndarray:
    x = np.full((3, 4, 2), NAN, np.float32)
    for i, sample in enumerate(SAMPLES):
        x[i, : len(sample)] = sample
    return x


CSV = "id,y,a,b\n" + "\n".join(
    f"s{i},{label},{a if a == a else ''},{b if b == b else ''}"
    for i, (sample, label) in enumerate(zip(SAMPLES, LABELS, strict=True))
    for a, b in sample
)
TS = """\
#a comment
@problemName test
@timeStamps false
@univariate false
@classLabel true up down
@data
1,3,5:2,?,6:up
7:8:down

?,9:?,1:up
"""


# What is read ---------------------------------------------------------------------------------------------------------


def test_all_sources_give_the_same_sequences(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(CSV)
    (tmp_path / "a.ts").write_text(TS)
    datasets = [
        from_npz(save(tmp_path / "a.npz", x_train=padded(), y_train=LABELS)),
        from_csv(tmp_path / "a.csv"),
        from_ts(tmp_path / "a.ts"),
    ]
    for dataset in datasets:
        assert dataset.classes == ("down", "up")
        np.testing.assert_equal(steps(dataset), SAMPLES)
        assert dataset.splits["train"].labels.tolist() == [1, 0, 1]
    assert len({dataset.splits["train"].digests for dataset in datasets}) == 1
    names = [dataset.splits["train"].names[0] for dataset in datasets]
    assert names == ["train/0", "s0", "a.ts:7"]


def test_given_lengths_are_used(tmp_path: Path) -> None:
    x = np.arange(24.0).reshape(3, 4, 2)
    found = from_npz(save(tmp_path / "a.npz", x_train=x, y_train=[0, 1, 0], lengths_train=[4, 1, 2]))
    assert [len(sample) for sample in steps(found)] == [4, 1, 2]
    flat = from_npz(save(tmp_path / "b.npz", x_train=x[..., 0], y_train=[0, 1, 0]))
    assert steps(flat)[0] == [[0.0], [2.0], [4.0], [6.0]]


def test_given_splits_are_used(tmp_path: Path) -> None:
    x, y = np.arange(12.0).reshape(6, 2), [0, 1] * 3
    path = save(tmp_path / "a.npz", x_train=x, y_train=y, x_val=x + 50, y_val=y, x_test=x + 90, y_test=y, other=[1])
    dataset = from_npz(path, validation=None, test=None)
    assert {split: len(samples) for split, samples in dataset.splits.items()} == {
        "train": 6,
        "validation": 6,
        "test": 6,
    }
    assert [left.name for left in dataset.left_out] == ["other"]
    (tmp_path / "a.csv").write_text("id,y,a,part,who\n1,x,1,train,p\n2,y,2,train,p\n3,x,3,test,q\n3,x,4,test,q\n")
    dataset = from_csv(tmp_path / "a.csv", split="part", group="who", validation=0.0)
    assert steps(dataset, "test") == [[[3.0], [4.0]]]
    (tmp_path / "a.ts").write_text(TS)
    (tmp_path / "b.ts").write_text(TS.replace("7:8", "7.5:8").replace("1,3,5", "1,3,6").replace("?,9", "?,8"))
    dataset = from_ts(tmp_path / "a.ts", test_path=tmp_path / "b.ts", validation=0.0, test=None)
    assert steps(dataset, "test")[1] == [[7.5, 8.0]]


def test_numbers_to_predict(tmp_path: Path) -> None:
    npz = from_npz(save(tmp_path / "a.npz", x_train=padded(), y_train=[1.5, 2.0, -1.0]), goal="value")
    (tmp_path / "a.csv").write_text(CSV.replace("up", "1.5").replace("down", "2"))
    table = from_csv(tmp_path / "a.csv", goal="value")
    for dataset, expected in ((npz, [1.5, 2.0, -1.0]), (table, [1.5, 2.0, 1.5])):
        targets = dataset.splits["train"].targets
        assert targets is not None
        assert targets.tolist() == expected
        assert [row["label"] for row in dataset.split_rows()] == [f"{value:g}" for value in expected]


def test_features_can_be_selected_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,t,y,a,b\n1,0,x,1,9\n2,5,y,2,9\n1,1.5,x,3,9\n")
    assert steps(from_csv(tmp_path / "a.csv", time="t", features=("a",))) == [[[1.0], [3.0]], [[2.0]]]
    assert steps(from_csv(tmp_path / "a.csv"))[0] == [[0.0, 1.0, 9.0], [1.5, 3.0, 9.0]]


# What is wrong --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arrays", "options", "expected"),
    [
        ({"x": [1]}, {}, "a.npz: there must be arrays x_train and y_train. Received 'x'."),
        ({"x_train": [[1.0]]}, {}, "a.npz: there must be arrays x_train and y_train. Received 'x_train'."),
        ({"x_train": [1.0], "y_train": [1]}, {}, "a.npz: x_train must be numbers [n, steps] or [n, steps, features]."),
        (
            {"x_train": [["a"]], "y_train": [1]},
            {},
            "a.npz: x_train must be numbers [n, steps] or [n, steps, features].",
        ),
        (
            {"x_train": [[1.0]], "y_train": [1, 2]},
            {},
            "a.npz: x_train and y_train must have one entry for each sample.",
        ),
        (
            {"x_train": [[np.inf]], "y_train": [1]},
            {},
            "a.npz: x_train must contain numbers of at most 1e+18 in magnitude, or NaN",
        ),
        (
            {"x_train": [[1.0], [NAN]], "y_train": [1, 2]},
            {},
            "a.npz: x_train: a sequence must have 1 to 1 steps. Received 0",
        ),
        (
            {"x_train": [[1.0], [2.0]], "y_train": [1, 2], "lengths_train": [1, 2]},
            {},
            "a.npz: lengths_train: a sequence must have 1 to 1 steps. Received 2 for sample 1.",
        ),
        (
            {"x_train": [[1.0]], "y_train": [1], "lengths_train": [1.0]},
            {},
            "a.npz: lengths_train must be whole numbers [n]. Received float64 of shape (1,).",
        ),
        (
            {"x_train": [[1.0]], "y_train": ["a"]},
            {"goal": "value"},
            "a.npz: y_train must be one finite number for each",
        ),
        (
            {"x_train": [[1.0]], "y_train": [NAN]},
            {"goal": "value"},
            "a.npz: y_train must be one finite number for each",
        ),
        (
            {"x_train": [[[1.0, 2.0]]], "y_train": [1]},
            {"num_features": 3, "classes": ("1", "2")},
            "a.npz: train/0: every step must have 3 features. Received 2.",
        ),
    ],
)
def test_errors_of_arrays(tmp_path: Path, arrays: dict[str, Any], options: dict[str, Any], expected: str) -> None:
    assert error(from_npz, save(tmp_path / "a.npz", **arrays), **options)[0].startswith(expected)


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("id,y,a\n1,x,one\n2,y,1_0\n3,x,inf\n", {}, [
            "a.csv:2: column 'a' must be a number. Received 'one'.",
            "a.csv:3: column 'a' must be a number. Received '1_0'.",
            "a.csv:4: column 'a' must be a number. Received 'inf'.",
        ]),
        ("id,y,a\n1,x,1\n1,y,2\n,x,3\n", {}, [
            "a.csv:3: a sequence must have one y. Line 2 has another.",
            "a.csv:4: column 'id' must not be empty.",
        ]),
        ("id,y,t,a\n1,x,2,1\n1,x,2,2\n2,x,one,3\n", {"time": "t"}, [
            "a.csv:3: column 't' must increase within a sequence. Sort the rows of '1'.",
            "a.csv:4: column 't' must be a number. Received 'one'.",
        ]),
        ("id,y,s,a\n1,x,train,1\n1,x,test,2\n", {"split": "s"}, [
            "a.csv:3: a sequence must be in one split. Line 2 has another."
        ]),
        ("id,y\n1,x\n", {}, ["a.csv:1: there must be columns of numbers besides 'id', 'y'."]),
        ("id,y,a\n1,x,1\n", {"features": ("b",)}, ["a.csv:1: there must be a column 'b'. Received 'id', 'y', 'a'."]),
        ("id,y,a\n1,x,1\n2,z,2\n", {"goal": "value"}, [
            "a.csv:2: column 'y' must be a number. Received 'x'.",
            "a.csv:3: column 'y' must be a number. Received 'z'.",
        ]),
        ("id,y,a\n1,x,1\n", {}, ["a.csv: there must be at least two classes. Received one: 'x'."]),
        ("id,y,a\n", {}, ["a.csv: there must be sequences to train on. Received none."]),
    ],
)  # fmt: skip
def test_errors_of_tables(tmp_path: Path, text: str, options: dict[str, Any], expected: list[str]) -> None:
    (tmp_path / "a.csv").write_text(text)
    assert error(from_csv, tmp_path / "a.csv", **options) == expected


def test_decimal_commas(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id;y;t;a\n1;1.000,5;0,5;2,5\n1;1.000,5;1,5;NA\n2;-1;0;3\n")
    found = from_csv(tmp_path / "a.csv", goal="value", time="t", decimal="comma")
    samples = found.splits["train"]
    assert samples.targets is not None
    assert samples.values is not None
    assert samples.targets.tolist() == [1000.5, -1.0]
    np.testing.assert_equal(samples.values[0], [[2.5], [NAN]])
    options: dict[str, Any] = {"sequence": "id", "time": "t", "features": None, "others": ("y",), "num_features": 1}
    _, values = read_unlabeled_series(tmp_path / "a.csv", **options, decimal="comma")
    np.testing.assert_equal(values[0], [[2.5], [NAN]])


# To predict -----------------------------------------------------------------------------------------------------------


def test_sequences_to_predict(tmp_path: Path) -> None:
    save(tmp_path / "a.npz", x=padded())
    (tmp_path / "a.csv").write_text(CSV.replace(",y,", ",").replace(",up,", ",").replace(",down,", ","))
    (tmp_path / "b.csv").write_text(CSV)
    (tmp_path / "a.ts").write_text(TS)
    options: dict[str, Any] = {"sequence": "id", "time": None, "features": None, "others": ("y",), "num_features": 2}
    for name in ("a.npz", "a.csv", "b.csv", "a.ts"):
        _, values = read_unlabeled_series(tmp_path / name, **options)
        np.testing.assert_equal([values[i].tolist() for i in range(3)], SAMPLES)
    with pytest.raises(InputError, match=r"every step must have 3 features, as in training\. Received 2"):
        read_unlabeled_series(tmp_path / "a.csv", **options | {"num_features": 3})
    save(tmp_path / "b.npz", y=[1])
    with pytest.raises(InputError, match=r"b\.npz: there must be an array x or x_test\. Received none\."):
        read_unlabeled_series(tmp_path / "b.npz", **options)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x_train": np.zeros((0, 8, 2)), "y_train": np.zeros(0)}, "must contain at least one sample of one step"),
        ({"x_train": np.zeros((9, 0, 2)), "y_train": np.arange(9) % 2}, "must contain at least one sample of one step"),
        ({"x_train": np.full((9, 2), 1e19), "y_train": np.arange(9) % 2}, "of at most 1e+18 in magnitude"),
        ({"x_train": np.zeros((9, 2)), "y_train": np.arange(9) * 1e30}, "of at most 1e+18 in magnitude"),
    ],
)
def test_arrays_with_numbers_that_are_too_large(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    goal = "value" if arrays["y_train"].max(initial=0) > 9 else "class"
    save(tmp_path / "a.npz", **arrays)
    assert message in error(from_npz, tmp_path / "a.npz", goal=goal)[0]


def test_tables_of_splits_may_use_the_same_ids(tmp_path: Path) -> None:
    for name, shift in (("train", 0), ("test", 9)):
        rows = [f"{i // 2};{'up' if i // 2 % 2 else 'down'};{i + shift}" for i in range(8)]
        (tmp_path / f"{name}.csv").write_text("\n".join(rows))
    options: dict[str, Any] = {"names": ("id", "y", "value")}
    dataset = from_csv(tmp_path, **options)
    assert dataset.splits["test"].names == ("test.csv:0", "test.csv:1", "test.csv:2", "test.csv:3")
    assert steps(dataset, "test")[1] == [[11.0], [12.0]]
    alone = from_csv(tmp_path / "train.csv", **options)
    assert alone.splits["train"].names == ("0", "1", "2", "3")
    other = from_csv(tmp_path / "train.csv", validation_path=tmp_path / "test.csv", **options)
    assert len(other.splits["validation"]) == 4
