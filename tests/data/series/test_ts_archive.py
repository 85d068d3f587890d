"""The .ts format of the UCR and UEA archives: values, names, and the errors of files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlcli.data.series.ts_archive import read_ts, read_ts_file
from dlcli.errors import InputError

COMMON: dict[str, Any] = {"validation": 0.0, "test": 0.0, "split_seed": 0, "limit": None, "allow_leakage": False}
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


def test_samples_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.ts").write_text(TS)
    samples, warnings = read_ts_file(tmp_path / "a.ts", "test", goal="class")
    assert warnings == []
    assert [(sample.name, sample.split, sample.label) for sample in samples] == [
        ("a.ts:7", "test", "up"),
        ("a.ts:8", "test", "down"),
        ("a.ts:10", "test", "up"),
    ]
    np.testing.assert_equal(samples[0].values, np.array([[1, 2], [3, np.nan], [5, 6]], np.float32))
    assert samples[1].values.shape == (1, 2)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("@data", "@dat", [
            "a.ts: there must be a line @data above the samples. Give a .ts file of the UCR or UEA archive."
        ]),
        ("@timeStamps false", "@timeStamps true", [
            "a.ts:7: feature 1 must be steps such as (0,1.5),(1,1.7). Received '1,3,5'.",
            "a.ts:8: feature 1 must be steps such as (0,1.5),(1,1.7). Received '7'.",
            "a.ts:10: feature 1 must be steps such as (0,1.5),(1,1.7). Received '?,9'.",
        ]),
        ("@classLabel true up down", "@classLabel false", [
            "a.ts: samples must have a class. Received @classLabel false."
        ]),
        ("@classLabel true up down", "@targetLabel true", [
            "a.ts: samples must have a class. Received numbers to predict (@targetLabel true): set task: "
            "sequence_regression."
        ]),
        ("7:8:down", "7:8:left", ["a.ts:8: the class must be one that @classLabel lists. Received 'left'."]),
        ("1,3,5", "1,1e39,5", ["a.ts:7: feature 1, step 2 must be a number or '?'. Received '1e39'."]),
        ("1,3,5", "1,x,5", ["a.ts:7: feature 1, step 2 must be a number or '?'. Received 'x'."]),
        ("1,3,5", "1,3", ["a.ts:7: all features must have the same number of steps. Received 2, 3."]),
        ("7:8:down", "7", ["a.ts:8: a sample must be features and a class, separated by ':'."]),
        ("7:8:down", "7:down", ["a.ts: a.ts:8: every step must have 2 features. Received 1."]),
    ],
)  # fmt: skip
def test_errors_of_files(tmp_path: Path, old: str, new: str, expected: list[str]) -> None:
    (tmp_path / "a.ts").write_text(TS.replace(old, new))
    with pytest.raises(InputError) as error:
        read_ts(path=tmp_path / "a.ts", validation_path=None, test_path=None, goal="class", **COMMON)
    assert str(error.value).replace(f"{tmp_path}/", "").splitlines() == expected


def test_a_folder_has_a_file_for_each_split(tmp_path: Path) -> None:
    for name in ("Waves_TRAIN.ts", "Waves_TEST.ts"):
        (tmp_path / name).write_text(TS if name == "Waves_TRAIN.ts" else TS.replace("1,3,5", "1,3,4"))
    (tmp_path / "Waves_TRAIN.arff").write_text("another format")
    dataset = read_ts(
        path=tmp_path, validation_path=None, test_path=None, goal="class", **COMMON | {"allow_leakage": True}
    )
    assert {split: len(part) for split, part in dataset.splits.items()} == {"train": 3, "test": 3}
    with pytest.raises(InputError, match=r"has a file for test, 'Waves_TEST\.ts': remove test_path"):
        read_ts(path=tmp_path, validation_path=None, test_path="other.ts", goal="class", **COMMON)
    (tmp_path / "more.ts").write_text(TS)
    with pytest.raises(InputError, match="must have one file for each split"):
        read_ts(path=tmp_path, validation_path=None, test_path=None, goal="class", **COMMON)


NUMBERS = """\
@problemName test
@timestamps true
@targetlabel true
@data
(2004-10-01 00:00:00,1),(2004-10-01 01:00:00,2.5):(2004-10-01 00:00:00,?),(2004-10-01 01:00:00,4):-1.5
(2004-10-02 00:00:00,5),(2004-10-02 02:00:00,6):(2004-10-02 00:00:00,7),(2004-10-02 02:00:00,8):2e3
"""


def read_numbers(folder: Path, text: str) -> Any:
    (folder / "b.ts").write_text(text)
    return read_ts(path=folder / "b.ts", validation_path=None, test_path=None, goal="value", **COMMON)


def test_numbers_to_predict_and_time_stamps(tmp_path: Path) -> None:
    dataset = read_numbers(tmp_path, NUMBERS)
    train = dataset.splits["train"]
    np.testing.assert_array_equal(train.targets, [-1.5, 2000])
    np.testing.assert_equal(train.values[0], np.array([[1, np.nan], [2.5, 4]], np.float32))
    np.testing.assert_equal(train.values[1], np.array([[5, 7], [6, 8]], np.float32))
    assert dataset.warnings == ()
    for_prediction, _ = read_ts_file(tmp_path / "b.ts", "", goal=None)
    assert [sample.values.shape for sample in for_prediction] == [(2, 2), (2, 2)]
    (tmp_path / "c.ts").write_text("@classLabel false\n@data\n1,2:3,4\n")
    assert read_ts_file(tmp_path / "c.ts", "", goal=None)[0][0].values.tolist() == [[1, 3], [2, 4]]


def test_steps_at_unequal_times_are_reported(tmp_path: Path) -> None:
    text = "@timestamps true\n@targetlabel true\n@data\n(0,1),(1,1),(2,1):1\n(0,1),(1,2),(5,3):2\n"
    (warning,) = read_numbers(tmp_path, text).warnings
    assert "1 of 2 series have steps at unequal distances in time" in str(warning)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("@targetlabel true", "@classLabel true a", "b.ts: samples must have a number to predict. Received classes "
         "(@classLabel true): set task: sequence_classification."),
        (":-1.5", ":x", "b.ts:5: the last part must be the number to predict. Received 'x'."),
        ("(2004-10-01 00:00:00,?)", "(2004-10-01 00:30:00,?)",
         "b.ts:5: all features must have the same times. Resample the features to common times."),
        ("2004-10-02 02", "2004-10-02 00", "b.ts:6: times must increase. Step 2 is no later."),
        ("2004-10-02 02", "someday 02",
         "b.ts:6: time must be a date as in the first row. Received 'someday 02:00:00'."),
    ],
)  # fmt: skip
def test_errors_of_numbers_and_times(tmp_path: Path, old: str, new: str, expected: str) -> None:
    with pytest.raises(InputError) as error:
        read_numbers(tmp_path, NUMBERS.replace(old, new))
    assert expected in str(error.value).replace(f"{tmp_path}/", "").splitlines()
