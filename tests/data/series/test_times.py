"""Times as people write them: read by one rule for all rows, in UTC, refused where their meaning is not certain."""

from datetime import UTC, datetime

import pytest

from dlcli.data.series.times import Times, epoch_of, read_times
from dlcli.errors import InputError


def read(*cells: str | tuple[str, ...], time_format: str | None = None, day_first: bool | None = None) -> Times:
    rows = [(i, [cell] if isinstance(cell, str) else list(cell)) for i, cell in enumerate(cells, start=2)]
    names = [f"t{i}" for i in range(len(rows[0][1]))]
    return read_times(rows, names, source="a.csv", time_format=time_format, day_first=day_first)


def seconds(*when: int) -> float:
    return datetime(*when, tzinfo=UTC).timestamp()  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("cell", "when"),
    [
        ("2024-02-29", (2024, 2, 29)),
        ("2024-02-29 13:05", (2024, 2, 29, 13, 5)),
        ("2024-02-29T13:05:07Z", (2024, 2, 29, 13, 5, 7)),
        ("2024-02-29T13:05:07+02:00", (2024, 2, 29, 11, 5, 7)),
        ("2024-W09-4", (2024, 2, 29)),
        ("2024/2/29", (2024, 2, 29)),
        ("2024.02.29 13:05", (2024, 2, 29, 13, 5)),
        ("29/02/2024", (2024, 2, 29)),
        ("29.2.2024 1:05", (2024, 2, 29, 1, 5)),
        ("2/29/2024", (2024, 2, 29)),
        ("02/29/2024 01:05 PM", (2024, 2, 29, 13, 5)),
        ("02/29/2024 12:05:07 am", (2024, 2, 29, 0, 5, 7)),
        ("Feb 29, 2024", (2024, 2, 29)),
        ("29 February 2024 13:05", (2024, 2, 29, 13, 5)),
        ("29-Feb-2024", (2024, 2, 29)),
        ("Sept 1, 2024", (2024, 9, 1)),
        ("May 2024", (2024, 5, 1)),
        ("2024-05", (2024, 5, 1)),
        ("2024/5", (2024, 5, 1)),
        ("2024Q2", (2024, 4, 1)),
        ("2024-q4", (2024, 10, 1)),
    ],
)
def test_forms_of_dates(cell: str, when: tuple[int, ...]) -> None:
    times = read(cell)
    assert times.moments == [(seconds(*when),)]
    assert times.are_dates
    assert times.errors == []


def test_whether_the_day_is_first_shows_in_any_row() -> None:
    assert read("01/02/2024", "13/02/2024").moments[0] == (seconds(2024, 2, 1),)
    assert read("01/02/2024", "02/13/2024").moments[0] == (seconds(2024, 1, 2),)
    for day_first, first in ((True, (2024, 2, 1)), (False, (2024, 1, 2))):
        assert read("01/02/2024", day_first=day_first).moments == [(seconds(*first),)]
    with pytest.raises(InputError, match=r"a\.csv: dates such as 01/02/2024 may be day first or month first"):
        read("01/02/2024", "03/02/2024")
    with pytest.raises(InputError, match=r"a\.csv:3: .* Received 02/13/2024, and 13/02/2024 in line 2"):
        read("13/02/2024", "02/13/2024")


def test_a_format_is_followed() -> None:
    times = read("24-29-02", "24-30-02", time_format="%y-%d-%m")
    assert times.moments[0] == (seconds(2024, 2, 29),)
    assert times.errors == [(3, "time must have the form '%y-%d-%m'. Received '24-30-02'.")]


@pytest.mark.parametrize(("unit", "factor"), [("seconds", 1), ("milliseconds", 1000)])
def test_numbers_may_count_from_1970(unit: str, factor: int) -> None:
    moment = seconds(2024, 2, 29)
    times = read(f"{moment * factor:.0f}", "1e30", "x", time_format=f"epoch_{unit}")
    assert times.are_dates
    assert times.moments[0] == (moment,)
    rule = f"time must be {unit} since 1970. Received"
    assert times.errors == [(3, f"{rule} '1e30'."), (4, f"{rule} 'x'.")]
    assert epoch_of(f"{moment * factor:.0f}") == f"epoch_{unit}"
    assert epoch_of("20240131") is epoch_of("x") is None


@pytest.mark.parametrize(
    ("cells", "error"),
    [
        (("2024-01-01", "soon"), "time must be a date as in the first row. Received 'soon'."),
        (("29/02/2024", "29/02/2023"), "time must be a date as in the first row. Received '29/02/2023'."),
        (("2024-01-01", "2024-01-02T00:00Z"), "times must have an offset from UTC in every row or in none. "),
        (("1", "x"), "time must be a number in every row or in none. Received 'x'."),
    ],
)
def test_rows_that_differ_are_named(cells: tuple[str, ...], error: str) -> None:
    ((line, text),) = read(*cells).errors
    assert line == 3
    assert text.startswith(error)


def test_several_columns() -> None:
    assert read(("2009", "12"), ("2010", "2")).moments == [(2009.0, 12.0), (2010.0, 2.0)]
    assert read(("2009", "12")).can_be_sorted
    assert not read(("11", "30"), ("12", "1")).can_be_sorted  # months without a year
    assert read(("2024-01-01", "13:05")).moments == [(seconds(2024, 1, 1, 13, 5),)]
    assert read(("2024-01-01", "5"), ("2024-01-01", "23")).moments[1] == (seconds(2024, 1, 1, 23),)
    assert read(("31.1.2024", "5", "7")).moments == [(seconds(2024, 1, 31, 5, 7),)]
    assert read(("1", "2024-01-02"), ("1", "2024-01-03")).errors == []
    with pytest.raises(
        InputError, match=r"a\.csv:4: column 't1' holds whole dates.*Received 2024-01-02 after 2024-01-03"
    ):
        read(("1", "2024-01-02"), ("1", "2024-01-03"), ("2", "2024-01-02"))
