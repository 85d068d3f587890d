"""Word vectors in text format: which are read, and which lines are refused."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from dlcli.data.text.vectors import read_vectors
from dlcli.errors import InputError

GLOVE = "the 0.5 -1 2e-1\ncat 1 2 3\n. . . 7 8 9\ndog 4 5 6\ncat 0 0 0\n"


def read(path: Path, tokens: tuple[str, ...] = ("the", "cat"), others: int = 0) -> tuple[dict[str, list[float]], int]:
    found, size = read_vectors(path, tokens, num_others=others, is_token=lambda word: " " not in word)
    return {word: vector.tolist() for word, vector in found.items()}, size


@pytest.mark.parametrize("header", ["", "5 3\n"])
@pytest.mark.parametrize("is_compressed", [False, True])
def test_the_formats_of_glove_and_word2vec(tmp_path: Path, header: str, is_compressed: bool) -> None:
    path, content = tmp_path / "v.txt", (header + GLOVE).encode()
    path.write_bytes(gzip.compress(content) if is_compressed else content)
    assert read(path) == ({"the": [0.5, -1, np.float32(0.2)], "cat": [1, 2, 3]}, 3)  # of two vectors, the first
    assert read(path, ("cat",), others=1)[0].keys() == {"the", "cat"}
    assert read(path, ("cat",), others=9)[0].keys() == {"the", "cat", "dog"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ": must have a word and its numbers on each line. Received an empty file."),
        (b"the 1 2\ncat 1\n", ":2: a line must have a word and 2 numbers. Received 2 columns: the line may be trunca"),
        (b"the 1 2\ncat 1 x\n", ":2: the numbers after the word must be finite numbers. Correct the line."),
        (b"the 1 nan\n", ":1: the numbers after the word must be finite"),
        (b"the 1 1e39\n", ":1: the numbers after the word must be finite"),
        (b"the\n", ":1: a line must have a word and its numbers, as in"),
        (b"5 0\nthe\n", ":2: a line must have a word and its numbers, as in"),
        (b"x" * (2**20 + 2), ":1: a line must have a word and its numbers, as in"),
        (b"2 3\nthe \x00\xff\xfe\x80\x81\n", ":2: a line must have a word and 3 numbers."),
        (b"\x1f\x8b\x08\x00broken", ": cannot be read, or is corrupt ("),
    ],
)
def test_what_is_no_vector_is_refused_by_its_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "v.txt"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}{message}")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such file\. Give a file of word vectors"):
        read(tmp_path / "none.txt")
