"""Listing folders: clear errors, and names that can be printed."""

import os
from pathlib import Path

import pytest

from dlcli.data.files import hash_content, list_folder, name_below, printable
from dlcli.errors import InputError


def test_a_folder_is_listed_by_name(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
    (tmp_path / "z.txt").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    folders, others = list_folder(tmp_path)
    assert [path.name for path in folders] == ["a", "b", "link"]
    assert [path.name for path in others] == ["z.txt"]
    with pytest.raises(InputError, match=r"none: no such folder\. Give the folder that contains the data\.$"):
        list_folder(tmp_path / "none")
    with pytest.raises(InputError, match=r"z\.txt: must be a folder\. Received a file: give the folder"):
        list_folder(tmp_path / "z.txt")


def test_names_are_one_line_of_text() -> None:
    assert printable("a\nb\u202ec é") == "a\\nb\\u202ec é"
    assert printable(os.fsdecode(b"\xff.png")) == "\\udcff.png"
    assert name_below(Path("data"), Path("data/cats/1\t.png")) == "cats/1\\t.png"


def test_contents_are_told_apart_by_16_digits() -> None:
    assert hash_content(b"") == "e3b0c44298fc1c14"  # of SHA-256
    assert hash_content(b"a") != hash_content(b"b")
