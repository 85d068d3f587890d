"""Tables of series without ground truth."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlcli.data.series.unlabeled import read_unlabeled_series
from dlcli.errors import InputError


def test_unlabeled_columns_are_found_by_name_and_time_must_increase(tmp_path: Path) -> None:
    options: dict[str, Any] = {"sequence": "id", "time": "t", "features": ("a", "b"), "others": (), "num_features": 2}
    (tmp_path / "a.csv").write_text("id,t,b,a\n1,0,20,10\n1,1,?,11\n2,0,21,\n")
    _, values = read_unlabeled_series(tmp_path / "a.csv", **options)
    np.testing.assert_equal([values[i].tolist() for i in range(2)], [[[10, 20], [11, np.nan]], [[np.nan, 21]]])
    (tmp_path / "a.csv").write_text("id,t,a,b\n1,1,1,1\n1,0,1,1\n")
    with pytest.raises(InputError, match=r"a\.csv:3: column 't' must increase within a sequence"):
        read_unlabeled_series(tmp_path / "a.csv", **options)
    (tmp_path / "a.csv").write_text("id,t,a,c\n1,1,1,1\n")
    with pytest.raises(InputError, match=r"there must be a column 'b'"):
        read_unlabeled_series(tmp_path / "a.csv", **options)
