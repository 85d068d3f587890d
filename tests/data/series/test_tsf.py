"""The .tsf format of the Monash archive: attributes, times by frequency, and the errors of files."""

from pathlib import Path

import pytest

from dlcli.data.series.time_table import read_table
from dlcli.data.series.tsf import read_tsf_header, table_of_tsf
from dlcli.errors import InputError

TSF = """\
# a comment
@relation visits
@attribute series_name string
@attribute state string
@attribute start_timestamp date
@frequency monthly
@horizon 4
@missing true
@data
T1:NSW:2020-11-30 00-00-00:1,2.5,?
T2:a, "b":2019-01-01 00-00-00:4,5
"""
FILE = Path("a.tsf")


def test_a_row_for_each_step() -> None:
    assert table_of_tsf(FILE, TSF).splitlines() == [
        "series_name,state,time,value",
        "T1,NSW,2020-11-30 00:00:00,1",
        "T1,NSW,2020-12-30 00:00:00,2.5",
        "T1,NSW,2021-01-30 00:00:00,?",
        'T2,"a, ""b""",2019-01-01 00:00:00,4',
        'T2,"a, ""b""",2019-02-01 00:00:00,5',
    ]
    header = read_tsf_header(FILE, TSF.split("\n"))
    assert (header.horizon, header.names) == (4, ("series_name", "state"))


@pytest.mark.parametrize(
    ("frequency", "second"),
    [
        ("yearly", "2021-11-01 00:00:00"),
        ("quarterly", "2021-02-01 00:00:00"),
        ("weekly", "2020-11-08 00:00:00"),
        ("half_hourly", "2020-11-01 00:30:00"),
        ("10_minutes", "2020-11-01 00:10:00"),
        ("4_seconds", "2020-11-01 00:00:04"),
    ],
)
def test_times_follow_the_frequency(frequency: str, second: str) -> None:
    text = TSF.replace("monthly", frequency).replace("2020-11-30", "2020-11-01")
    assert table_of_tsf(FILE, text).splitlines()[2].split(",")[2] == second


def test_without_a_start_or_a_frequency_steps_are_numbered() -> None:
    text = TSF.replace("@frequency monthly\n", "")
    assert [row.split(",")[-2] for row in table_of_tsf(FILE, text).splitlines()[1:4]] == ["1", "2", "3"]


def test_it_is_read_as_a_table_of_many_series(tmp_path: Path) -> None:
    (tmp_path / "a.tsf").write_text(TSF)
    table = read_table(
        path=tmp_path / "a.tsf",
        time=("time",),
        target="value",
        features=(),
        on_missing="keep",
        series="series_name",
        static=("state",),
    )
    assert [part.name for part in table.parts] == ["T1", "T2"]
    assert table.values[:, 0].tolist()[:2] == [1.0, 2.5]
    assert table.are_dates


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("@data", "@dat", "a.tsf: there must be a line @data above the series. Give a .tsf file."),
        ("monthly", "often", "a.tsf: @frequency must be yearly, quarterly, monthly, weekly, daily, hourly, "
         "half_hourly, minutely, secondly, 10_minutes or the like. Received 'often'."),
        ("2.5", "x", "a.tsf:10: value 2 must be a number or '?'. Received 'x'."),
        ("T1:NSW:", "T1:", "a.tsf:10: a series must have 3 attributes and its values, separated by ':'. "
         "Received 3 parts."),
        ("2020-11-30 00-00-00", "yesterday", "a.tsf:10: the start must be like 2001-12-31 00-00-00. "
         "Received 'yesterday'."),
        ("T2:", "T1:", "a.tsf:11: each series must have its own name. Line 10 has this one too."),
        ("2020-11-30", "9999-11-30", "a.tsf:10: the times of 3 steps must be within the years 1 to 9999."),
        ("@attribute state string", "@attribute value string", "a.tsf: no attribute may be called 'value'. Rename it."),
    ],
)  # fmt: skip
def test_errors_of_files(old: str, new: str, expected: str) -> None:
    with pytest.raises(InputError) as error:
        table_of_tsf(FILE, TSF.replace(old, new, 1))
    assert expected in str(error.value).splitlines()
