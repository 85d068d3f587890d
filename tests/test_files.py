"""Opening and replacing files that are named from outside: regular files only, of bounded size."""

import gzip
import os
from pathlib import Path

import pytest

from dlcli.errors import InputError
from dlcli.files import (
    BadFile,
    NoFile,
    check_replaceable,
    decoded,
    open_file,
    open_input,
    read_file,
    read_text,
    suffix_of,
)


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


def test_a_pipe_that_takes_the_place_of_a_file_does_not_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"")
    before = os.stat(path)
    path.unlink()
    os.mkfifo(path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", lambda *arguments, **keys: before)
        with pytest.raises(BadFile, match="a pipe or device, not a file"):
            open_file(path)


def test_what_is_read_at_once_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_file(path, 5) == b"12345"
    with pytest.raises(BadFile, match="larger than 4 bytes"):
        read_file(path, 4)
    with open(path, "wb") as file:
        file.truncate(2**40)  # takes no space: a file with a hole
    with pytest.raises(BadFile, match="larger than 1,000 bytes"):
        read_file(path, 1000)
    with pytest.raises(NoFile, match="no such file"):
        read_file(tmp_path / "none", 1)
    for device in ("/dev/zero", "/dev/null"):
        with pytest.raises(BadFile, match="a pipe or device"):
            read_file(device, 1)


@pytest.mark.parametrize(
    ("name", "suffix"), [("a.CSV", ".csv"), ("a.csv.GZ", ".csv"), ("a.gz", ".gz"), ("a", ""), ("b.1.tsv.gz", ".tsv")]
)
def test_the_suffix_of_a_compressed_file_is_that_of_its_content(name: str, suffix: str) -> None:
    assert suffix_of(Path(name)) == suffix


def test_text_compressed_by_gzip_is_read_and_bounded(tmp_path: Path) -> None:
    path, keys = tmp_path / "t.csv.gz", {"noun": "table", "remedy": "Give one."}
    path.write_bytes(gzip.compress("text,label\né,a\n".encode()))
    assert read_text(path, max_bytes=100, **keys) == "text,label\né,a\n"
    path.write_bytes(gzip.compress(b"a" * 10**6))
    with pytest.raises(InputError, match="a table may have at most 1,000 bytes"):
        read_text(path, max_bytes=1000, **keys)
    path.write_bytes(gzip.compress(bytes(range(256)) * 9)[:50])
    with pytest.raises(InputError, match=r"t\.csv\.gz: its gzip data is corrupt or truncated"):
        read_text(path, max_bytes=10**6, **keys)


def test_a_device_a_pipe_and_a_link_are_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("elsewhere")
    for path, kind in ((tmp_path / "pipe", "a pipe or device"), (Path("/dev/null"), "a pipe or device")):
        with pytest.raises(InputError, match=f"{path}: is {kind}, which would be replaced by a file. Give another"):
            check_replaceable(path)
    with pytest.raises(InputError, match="link: is a link, which would be replaced"):
        check_replaceable(tmp_path / "link")
    check_replaceable(tmp_path / "new")
    check_replaceable(tmp_path)
