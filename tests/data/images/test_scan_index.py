"""The index of images: used only while a file is unchanged, shared by processes, safe to delete and to corrupt."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlcli.data.images import discovery, scan_index
from dlcli.data.images.discovery import Scan, check_images, hash_files
from dlcli.data.images.scan_index import Checked, ScanIndex, index_path


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Three images whose times may be trusted at once, and an empty index."""
    monkeypatch.setenv("DLCLI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(scan_index, "GRANULARITY", 0.0)
    paths = [tmp_path / name for name in ("a.png", "b.png", "c é.png")]
    for number, path in enumerate(paths):
        Image.new("RGB" if number else "L", (3, 4 + number), number).save(path)
    return paths


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are read from now on."""
    paths: list[Path] = []
    read = discovery.read_with_status

    def note(path: Path) -> tuple[scan_index.Status | None, bytes]:
        paths.append(path)
        return read(path)

    monkeypatch.setattr(discovery, "read_with_status", note)
    return paths


def check(files: Sequence[Path]) -> list[Checked | str]:
    return check_images(files, by_suffix=True)


def test_a_file_is_read_once(files: list[Path], opened: list[Path]) -> None:
    first = check(files)
    assert isinstance(first[1], Checked)
    assert (first[1].height, first[1].width, first[1].is_gray) == (5, 3, False)
    assert (first[1].image_format, first[1].mode) == ("PNG", "RGB")
    assert sorted(opened) == files
    assert check(list(reversed(files))) == first[::-1]
    assert hash_files(files) == tuple(result.digest for result in first if isinstance(result, Checked))
    assert len(opened) == 3


def test_relative_paths_are_those_of_the_folder(
    files: list[Path], opened: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    check(files)
    monkeypatch.chdir(files[0].parent)
    assert check([Path(file.name) for file in files]) == check(files)
    assert len(opened) == 3


def test_a_digest_alone_is_kept_too(files: list[Path], opened: list[Path]) -> None:
    digests = hash_files(files)
    assert hash_files(files) == digests
    assert len(opened) == 3
    assert [result.digest for result in check(files) if isinstance(result, Checked)] == list(digests)
    assert len(opened) == 6  # a digest does not say whether an image can be decoded


def test_the_extremes_of_16_bits_are_kept_and_a_range_reads_anew(files: list[Path], opened: list[Path]) -> None:
    """Whether an image can be read, and its pixels, depend on the range."""
    Image.fromarray(np.array([[7, 4095]], np.uint16)).save(files[0])
    first = check(files[:1])
    assert isinstance(first[0], Checked)
    assert first[0].extremes == (7.0, 4095.0)
    assert check(files[:1]) == first
    assert len(opened) == 1
    check_images(files[:1], by_suffix=True, value_range=(0.0, 4095.0))
    assert len(opened) == 2


@pytest.mark.parametrize("change", ["content", "content of the same size and time", "another file"])
def test_a_changed_file_is_read_again(files: list[Path], opened: list[Path], change: str) -> None:
    before = check(files)
    status = os.stat(files[1])
    if change == "content":
        Image.new("RGB", (9, 9)).save(files[1])
    elif change == "another file":
        other = files[1].with_name("other")
        other.write_bytes(files[1].read_bytes()[:-20] + b"x" * 20)
        os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
        other.replace(files[1])
    else:
        files[1].write_bytes(files[0].read_bytes().ljust(status.st_size, b"\0"))
        os.utime(files[1], ns=(status.st_atime_ns, status.st_mtime_ns))
    opened.clear()
    after = check(files)
    assert opened == [files[1]]
    assert after[1] != before[1]
    assert after[::2] == before[::2]


def test_recent_times_are_not_trusted(files: list[Path], opened: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the granularity of a file system's times a file can change twice and keep its times."""
    monkeypatch.setattr(scan_index, "GRANULARITY", 60.0)
    check(files)
    check(files)
    assert len(opened) == 6


def test_an_unreadable_image_is_tried_again(files: list[Path], opened: list[Path]) -> None:
    files[1].write_bytes(files[1].read_bytes()[:40])
    assert isinstance(check(files)[1], str)
    assert isinstance(check(files)[1], str)
    assert opened.count(files[1]) == 2
    assert opened.count(files[0]) == 1


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0" + b"x" * 5000, b"not a database at all" * 50])
def test_a_corrupt_index_is_replaced(files: list[Path], opened: list[Path], content: bytes) -> None:
    path = index_path()
    assert path is not None
    path.parent.mkdir()
    path.write_bytes(content)
    first = check(files)
    assert check(files) == first  # the second call may be the one that makes the new index
    opened.clear()
    assert check(files) == first
    assert opened == []


def test_rows_that_make_no_sense_are_ignored(files: list[Path], opened: list[Path]) -> None:
    first = check(files)
    with sqlite3.connect(str(index_path())) as database:
        database.execute("UPDATE files SET properties = '[1, [2], true]' WHERE name = ?", (b"a.png",))
        database.execute("UPDATE files SET digest = 7 WHERE name = ?", (b"b.png",))
    opened.clear()
    assert check(files) == first
    assert sorted(opened) == files[:2]


def test_an_index_of_another_version_is_emptied(
    files: list[Path], opened: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    check(files)
    monkeypatch.setattr(scan_index, "LAYOUT", scan_index.LAYOUT + 1)
    check(files)
    assert len(opened) == 6


def test_without_a_place_for_the_index_files_are_read(
    files: list[Path], opened: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = check(files)
    for folder in ("", str(files[0])):  # none, and a file in the place of the folder
        monkeypatch.setenv("DLCLI_CACHE", folder)
        opened.clear()
        assert check(files) == first
        assert sorted(opened) == files


def test_a_locked_index_is_not_waited_for_without_end(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    first = check(files)
    Image.new("RGB", (9, 9)).save(files[1])
    monkeypatch.setattr(scan_index, "TIMEOUT", 0.01)
    with sqlite3.connect(str(index_path()), isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert check(files)[0] == first[0]
    assert index_path().exists()  # type: ignore[union-attr]


def test_two_processes_share_the_index(files: list[Path]) -> None:
    code = (
        "import sys; from pathlib import Path; from dlcli.data.images import scan_index as s\n"
        "from dlcli.data.images.discovery import check_images\n"
        "s.GRANULARITY = 0.0\n"
        "for _ in range(20):\n"
        "    print([r.digest for r in check_images([Path(p) for p in sys.argv[1:]], by_suffix=True)])\n"
    )
    command = [sys.executable, "-c", code, *map(str, files)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = {line for process in processes for line in process.communicate()[0].splitlines()}
    assert len(outputs) == 1
    with ScanIndex(files) as index:
        assert len(index.digests()) == 3


def test_thumbnails_belong_to_contents(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    with ScanIndex(files) as index:
        index.add_thumbnails({0: b"one", 2: b"two"}, ["x", "y", "z"])
        assert index.thumbnails(["x", "y", "z"]) == {0: b"one", 2: b"two"}
        assert index.thumbnails(["x", "y", "changed"]) == {0: b"one"}
    monkeypatch.setenv("DLCLI_CACHE", "")
    with ScanIndex(files) as index:
        index.add_thumbnails({0: b"one"}, ["x", "y", "z"])
        assert index.thumbnails(["x", "y", "z"]) == {}


def test_folders_unused_for_long_are_forgotten(files: list[Path]) -> None:
    check(files)
    with sqlite3.connect(str(index_path())) as database:
        database.execute("UPDATE folders SET used = 0")
        database.execute("INSERT INTO folders (path, used) VALUES (?, 0)", (b"/gone",))
        database.execute("INSERT INTO thumbnails SELECT id, 'x', 'y', 'z' FROM folders WHERE path = ?", (b"/gone",))
    check(files)
    with sqlite3.connect(str(index_path())) as database:
        assert [row[0] for row in database.execute("SELECT path FROM folders")] == [os.fsencode(files[0].parent)]
        assert database.execute("SELECT count(*) FROM thumbnails").fetchone() == (0,)
        assert database.execute("SELECT count(*) FROM files").fetchone() == (3,)


def test_a_scan_decodes_each_file_once_and_hashes_those_it_cannot(
    files: list[Path], opened: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DLCLI_CACHE", "")
    files[2].write_bytes(b"corrupt")
    scan = Scan(by_suffix=True)
    digests = scan.digests(files, only=False)
    assert digests == hash_files(files)
    opened.clear()
    results = scan.check(files)
    assert opened == []
    assert [isinstance(result, Checked) for result in results] == [True, True, False]
