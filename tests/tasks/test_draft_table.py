"""Tables of which recipes are drafted: cells by column, encodings, and mistakes in columns of numbers."""

from pathlib import Path

import pytest

from dlcli.errors import InputError
from dlcli.tasks import draft_table
from dlcli.tasks.draft_table import read_table


def test_cells_by_column_with_their_lines(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(' a ,b,b,,c\n1, x ,y,z,2\n\n3\n"4\n5",,,,6,7\n')
    table = read_table(tmp_path / "t.csv")
    assert table.columns == ("a", "c")
    assert table.rows == ({"a": "1", "c": "2"}, {"a": "3", "c": ""}, {"a": "4\n5", "c": "6"})
    assert table.lines == (2, 4, 5)


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [("1 2.5 NA", [1.0, 2.5]), ("1 x", None), ("? n/a", None), ("1e30 2", None), ("inf 2", None), ("1_0 2", None)],
)
def test_numbers_of_a_column(tmp_path: Path, cells: str, numbers: list[float] | None) -> None:
    (tmp_path / "t.csv").write_text("\n".join(["a", *cells.split()]))
    assert read_table(tmp_path / "t.csv").numbers("a") == numbers


def test_a_large_table_is_read_up_to_a_whole_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draft_table, "MAX_BYTES", 11)
    (tmp_path / "t.csv").write_text('a,b\n1,2\n3,"4"\n')
    assert read_table(tmp_path / "t.csv").rows == ({"a": "1", "b": "2"},)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\nx,y\n".encode("utf-16-le"), "must be UTF-8 text. It may be UTF-16: save it as UTF-8, or, for texts"),
        ("a,b\nx,\xe9\n".encode("latin-1"), "t.csv:2: the table must be UTF-8 text. Received byte 0xe9: save it as"),
        (b'a,b\nx,"y\n', "t.csv:2: this row is not valid CSV"),
    ],
)
def test_what_is_not_a_table_in_utf_8_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_table(tmp_path / "t.csv")
    assert message in str(caught.value)
