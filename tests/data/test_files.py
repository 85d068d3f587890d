"""Opening files and listing folders: clear errors, and names that can be printed."""

import os
from pathlib import Path

import pytest

from dlcli.data.files import (
    BadFile,
    decoded,
    hash_content,
    list_folder,
    name_below,
    open_file,
    open_input,
    printable,
    read_text,
)
from dlcli.errors import InputError


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    reasons = {
        ".": "a folder, not a file",
        "pipe": "a pipe or device, not a file",
        "none": "no such file",
        "link": "a link to a file that does not exist",
        "a\0b": "no such file: its name contains a null character",
    }
    for name, reason in reasons.items():
        with pytest.raises(BadFile) as error:
            open_file(tmp_path / name)
        assert str(error.value) == reason
    with pytest.raises(InputError, match=r"none: no such file\. Give another\.$"):
        open_input(tmp_path / "none", "Give another.")


def test_text_is_bounded_and_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfone\ntwo\xff")
    with pytest.raises(InputError, match=r"a\.txt: a table may have at most 5 bytes\. Split it or"):
        read_text(path, noun="table", max_bytes=5, remedy="")
    with pytest.raises(InputError, match=r"a\.txt:2: the table must be UTF-8 text\. Received byte 0xff: save"):
        read_text(path, noun="table", max_bytes=99, remedy="")
    assert decoded(b"\xef\xbb\xbfone", "a", noun="table") == "one"
    assert decoded(b"\xe9", "a", noun="table", encoding="latin-1") == "é"


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
