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
    samples = read_ts_file(tmp_path / "a.ts", "test")
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
            "a.ts: time stamps are not supported. Resample the series to steps without them."
        ]),
        ("@classLabel true up down", "@classLabel false", [
            "a.ts: samples must have a class. Received @classLabel false."
        ]),
        ("@classLabel true up down", "@targetLabel true", [
            "a.ts: samples must have a class. Received numbers to predict (@targetLabel true)."
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
        read_ts(path=tmp_path / "a.ts", validation_path=None, test_path=None, **COMMON)
    assert str(error.value).replace(f"{tmp_path}/", "").splitlines() == expected
