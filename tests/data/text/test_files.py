"""Lines of texts, and the line that an error names."""

from pathlib import Path

import pytest

from dlcli.data.text import files
from dlcli.errors import InputError


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("\n", [""]),
        ("a", ["a"]),
        ("a\n", ["a"]),
        ("a\r\n\r\nb\r\n", ["a", "", "b"]),
        ("a\n\n", ["a", ""]),
        ("a\u2028b\x0bc\rd\n", ["a\u2028b\x0bc\rd"]),  # other line ends are part of a text
    ],
)
def test_lines(text: str, lines: list[str], tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(text.encode())
    assert files.lines_of_file(file, "utf-8") == lines
    assert files.lines_of(b"\xef\xbb\xbf" + text.encode(), "stdin", "utf-8") == lines


def test_a_whole_text_keeps_its_white_space(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes("\n é \r\n\r\n".encode("latin-1"))
    assert files.read_whole(file, "latin-1") == "\n é \n\n"
    file.write_bytes(b" \r\n\t")
    with pytest.raises(InputError, match=r"a\.txt: there must be text\. Received an empty file\."):
        files.read_whole(file, "utf-8")


def test_errors_name_the_line(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"^stdin:3: the text must be text\. Received a null character: it may be UTF-16"
    ):
        files.lines_of(b"a\nb\nc\0", "stdin", "utf-8")
    with pytest.raises(
        InputError, match=r"^stdin:2: .* byte 0xff: save it as UTF-8, the encoding of the training data"
    ):
        files.lines_of(b"a\n\xff", "stdin", "utf-8")
    (tmp_path / "a.txt").write_bytes(b"a\n\xe9")
    with pytest.raises(InputError, match=r"a\.txt:2: .* byte 0xe9: save it as UTF-8, or set data\.encoding"):
        files.lines_of_file(tmp_path / "a.txt", "utf-8")


def test_white_space_beyond_asciis_becomes_plain() -> None:
    kept = " \t\n\v\f\r"
    for char in map(chr, range(0x10000)):
        is_other = (char.isspace() and char not in kept) or char == "\u200b"
        assert files.plain_spaces(char) == (" " if is_other else char)
