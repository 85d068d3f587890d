"""Lines as they arrive: complete ones at once, errors after the lines before them."""

import io
import os

import pytest

from dlcli.data.text import stream
from dlcli.data.text.stream import arriving_lines
from dlcli.errors import InputError


def lines_of(data: bytes, encoding: str = "utf-8") -> list[str]:
    found = arriving_lines(io.BytesIO(data), "-", encoding, at_most=3)
    parts = list(found)
    assert all(1 <= len(part) <= 3 for part in parts)
    return [line for part in parts for line in part]


@pytest.mark.parametrize(
    ("data", "encoding", "lines"),
    [
        (b"", "utf-8", []),
        (b"one", "utf-8", ["one"]),
        (b"one\r\n\ntwo\n", "utf-8", ["one", "", "two"]),
        ("\ufeffé\n☃\n".encode(), "utf-8", ["é", "☃"]),
        ("é\n☃".encode("utf-16"), "utf-8", ["é", "☃"]),
        ("é\n☃\n".encode("utf-16"), "utf-16", ["é", "☃"]),
        (b"\xe9\n\xff", "latin-1", ["é", "ÿ"]),
    ],
)
def test_lines_are_decoded(data: bytes, encoding: str, lines: list[str]) -> None:
    assert lines_of(data, encoding) == lines


def test_a_complete_line_is_not_kept_back() -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as stream_of_pipe, open(writing, "wb", buffering=0) as pipe:
        found = arriving_lines(stream_of_pipe, "-", "utf-8", at_most=8)
        for text in ("one", "zwei ☃"):
            pipe.write(text.encode()[:-1])
            pipe.write(text.encode()[-1:] + b"\nra")
            assert next(found)[0].removeprefix("ra") == text
        pipe.close()
        assert list(found) == [["ra"]]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a\nb\nx\xffy\nc\n", "-:3: the text must be UTF-8 text. Received byte 0xff: "),
        (b"a\nb\nx\0y\nc\n", "-:3: a line must be text. Received a null character: "),
        (b"a\nb\n" + 40 * b"x", "-:3: a line may have at most 30 characters."),
    ],
)
def test_the_lines_before_an_error_come_first(data: bytes, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MAX_LINE", 30)
    monkeypatch.setattr(stream, "CHUNK", 7)
    found = arriving_lines(io.BytesIO(data), "-", "utf-8", at_most=1)
    assert [next(found), next(found)] == [["a"], ["b"]]
    with pytest.raises(InputError) as error:
        next(found)
    assert str(error.value).startswith(message)
