"""Labels and the names of classes, by number and by name."""

from pathlib import Path
from typing import Any

import pytest

from dlcli.data.images.importing.samples import BadLabel, class_of, read_names
from dlcli.errors import InputError

NAMES = ("cat", "dog")


@pytest.mark.parametrize(
    ("value", "names", "expected"),
    [
        (1, NAMES, (1, "dog")),
        (7, None, (7, "7")),
        ("dog", NAMES, (1, "dog")),
        (b" dog\n", None, (None, "dog")),
        ("猫", None, (None, "猫")),
    ],
)
def test_labels(value: Any, names: tuple[str, ...] | None, expected: tuple[int | None, str]) -> None:
    assert class_of(value, names) == expected


@pytest.mark.parametrize(
    ("value", "names", "message"),
    [
        (None, NAMES, "has no label"),
        ("  ", None, "has no label: it is empty"),
        (-1, NAMES, "has no label: its number must be at least 0. Received -1"),
        (2, NAMES, "its label must be a number from 0 to 1, those of the names. Received 2"),
        (0, ("", *NAMES), "its label must be a number from 1 to 2, those of the names. Received 0"),
        ("cow", NAMES, "its label must be one of the 2 names of classes. Received 'cow'"),
        ([0, 1], NAMES, "its label must be one class. Received a list of 2"),
        (0.5, NAMES, "its label must be a whole number or a name. Received a float"),
        (True, NAMES, "its label must be a number or a name. Received True"),
        (b"\xff", None, "its label must be UTF-8 text"),
        ("a\x1b[2J", None, r"a class name must be on one line, without control characters. Received 'a\x1b[2J'"),
    ],
)
def test_bad_labels(value: Any, names: tuple[str, ...] | None, message: str) -> None:
    with pytest.raises(BadLabel) as error:
        class_of(value, names)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cat\n\n dog \n", ("cat", "dog")),
        ("0:cat\n1:dog\n", ("cat", "dog")),
        ("2: dog\n1: cat\n", ("", "cat", "dog")),  # of ImageNet's records, numbered from 1
        ("cat: small\ndog\n", ("cat: small", "dog")),
    ],
)
def test_files_of_names(tmp_path: Path, text: str, expected: tuple[str, ...]) -> None:
    (tmp_path / "names.txt").write_text(text)
    assert read_names(tmp_path / "names.txt") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there must be names of classes. Received none."),
        ("cat\ncat\n", "the names of classes must differ. Received 'cat' twice."),
        ("1:cat\n3:dog\n", "the numbers of the names must be those from 0 or from 1, each once."),
        ("1:cat\n1:dog\n", "the numbers of the names must be those from 0 or from 1, each once."),
        ("a\x07b\n", r"a class name must be on one line, without control characters. Received 'a\x07b'."),
    ],
)
def test_bad_files_of_names(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "names.txt").write_text(text)
    with pytest.raises(InputError) as error:
        read_names(tmp_path / "names.txt")
    assert str(error.value) == f"{tmp_path / 'names.txt'}: {message}"
