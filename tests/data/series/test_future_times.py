"""The times of the steps after the last row of a table."""

from pathlib import Path

import pytest

from dlcli.data.series.future_times import future_times
from dlcli.data.series.time_table import read_table


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (["1", "3", "5"], ("7", "9")),
        (["0.5", "0.75"], ("1", "1.25")),
        (["1960-11", "1960-12"], ("1961-01", "1961-02")),
        (["2023-11-30", "2023-12-31"], ("2024-01-31", "2024-02-29")),
        (["2024Q3", "2024Q4"], ("2025-01-01", "2025-04-01")),
        (["01/31/2024", "02/01/2024"], ("2024-02-02", "2024-02-03")),
        (["2024-02-28T22:00", "2024-02-28T23:00"], ("2024-02-29T00:00", "2024-02-29T01:00")),
        (["2024-10-27T01:30+02:00", "2024-10-27T02:30+02:00"], ("2024-10-27T01:30+00:00", "2024-10-27T02:30+00:00")),
        (["2024-01-01 00:00:00", "2024-01-01 00:00:30"], ("2024-01-01T00:01", "2024-01-01T00:01:30")),
        (["1", "2", "3", "9"], ("10", "11")),  # most distances are 1
        (["1", "2", "4", "9"], ("", "")),
        (["7"], ("", "")),
        (["9999-12-30", "9999-12-31"], ("", "")),
    ],
)
def test_times_continue_by_the_step_of_the_rows(tmp_path: Path, times: list[str], expected: tuple[str, ...]) -> None:
    (tmp_path / "a.csv").write_text("t,y\n" + "".join(f"{time},1\n" for time in times))
    table = read_table(path=tmp_path / "a.csv", time=("t",), target="y", features=(), on_missing="error")
    found, moments = future_times(table.moments, table.times[-1], 2, are_dates=table.are_dates, num_columns=1)
    assert found == expected
    assert (moments is None) == (expected[0] == "")


@pytest.mark.parametrize(
    ("names", "rows", "expected"),
    [
        (("year", "month"), ["2024,11", "2024,12"], ("2025 1", "2025 2")),
        (("year", "month", "day", "hour"), ["2023,12,31,21", "2023,12,31,22"], ("2023 12 31 23", "2024 1 1 0")),
        (("day", "hour"), ["2023-12-31,22", "2023-12-31,23"], ("2024-01-01T00:00", "2024-01-01T01:00")),
    ],
)
def test_several_columns_continue_together(
    tmp_path: Path, names: tuple[str, ...], rows: list[str], expected: tuple[str, ...]
) -> None:
    (tmp_path / "a.csv").write_text("\n".join([",".join([*names, "y"]), *(f"{row},1" for row in rows)]))
    table = read_table(path=tmp_path / "a.csv", time=names, target="y", features=(), on_missing="error")
    found, moments = future_times(table.moments, table.times[-1], 2, are_dates=table.are_dates, num_columns=len(names))
    assert found == expected
    assert (moments is None) == (expected[0] == "")
