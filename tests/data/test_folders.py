"""Walking folders: every real folder once, in a bounded time, whatever links and depth there are."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dlcli.data.folders import MAX_DEPTH, walk
from dlcli.errors import InputError


def listed(folder: Path, root: Path | None = None) -> dict[str, str | None]:
    """The names below a folder in the order of the walk: of files with None, of folders left out with the reason."""
    found: dict[str, str | None] = {}
    for walked in walk(folder, root=root):
        found |= {(walked.path / name).relative_to(folder).as_posix(): None for name in walked.files}
        if walked.left_out is not None:
            found[walked.path.relative_to(folder).as_posix()] = walked.left_out
    return found


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")


@contextlib.contextmanager
def nested(folder: Path, depth: int) -> Iterator[Path]:
    """Folders within each other, each entered by its name, as their path may be too long; removed at the end."""
    before = os.getcwd()
    folder.mkdir()
    os.chdir(folder)
    try:
        for _ in range(depth):
            os.mkdir("d")
            os.chdir("d")
        os.chdir(before)
        yield folder
    finally:  # shutil.rmtree, which pytest calls, is recursive
        os.chdir(folder)
        for _ in range(depth):
            os.chdir("d")
        for _ in range(depth):
            os.chdir("..")
            os.rmdir("d")
        os.chdir(before)


def test_files_are_found_at_every_depth(tmp_path: Path) -> None:
    make(tmp_path, "b.txt", "a/2.txt", "a/1.txt", "a/x/3.txt", "c/4.txt")
    assert list(listed(tmp_path)) == ["b.txt", "a/1.txt", "a/2.txt", "a/x/3.txt", "c/4.txt"]


def test_a_folder_that_the_caller_removes_is_not_entered(tmp_path: Path) -> None:
    make(tmp_path, "a/1.txt", "b/2.txt")
    seen = []
    for walked in walk(tmp_path):
        seen.append(walked.path.name)
        walked.folders[:] = [path for path in walked.folders if path.name != "a"]
    assert seen == [tmp_path.name, "b"]


def test_doubled_links_are_listed_once(tmp_path: Path) -> None:
    for level in range(14):
        make(tmp_path, f"{level}/{level}.txt")
    for level in range(13):
        (tmp_path / str(level) / "one").symlink_to(tmp_path / str(level + 1))
        (tmp_path / str(level) / "two").symlink_to(tmp_path / str(level + 1))
    found = listed(tmp_path / "0", root=tmp_path / "0")
    assert sum(reason is None for reason in found.values()) == 14
    assert sum(reason == "a link to one, which is listed already" for reason in found.values()) == 13


def test_the_real_path_of_a_folder_wins_over_links_to_it(tmp_path: Path) -> None:
    make(tmp_path, "data/z/1.txt", "elsewhere/2.txt")
    (tmp_path / "data" / "a").symlink_to(tmp_path / "data" / "z")
    (tmp_path / "data" / "b").symlink_to(tmp_path / "elsewhere")
    assert listed(tmp_path / "data") == {"z/1.txt": None, "a": "a link to z, which is listed already", "b/2.txt": None}


def test_links_back_are_left_out(tmp_path: Path) -> None:
    make(tmp_path, "data/cats/in/1.txt", "data/dogs/2.txt")
    cats = tmp_path / "data" / "cats"
    for name, target in {"itself": cats, "root": cats.parent, "higher": tmp_path}.items():
        (cats / "in" / name).symlink_to(target)
    found = listed(cats, root=cats.parent)
    back = "a link back to a folder above it"
    assert found == {"in/1.txt": None, "in/higher": back, "in/itself": back, "in/root": back}


def test_depth_is_bounded(tmp_path: Path) -> None:
    with nested(tmp_path / "deep", MAX_DEPTH) as folder:
        assert len(list(walk(folder))) == MAX_DEPTH + 1
    for depth in (MAX_DEPTH + 1, 1200):
        with (
            nested(tmp_path / str(depth), depth) as folder,
            pytest.raises(InputError, match=r"/d: folders may be nested at most 100 deep\. Move the files up"),
        ):
            list(walk(folder))


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none: no such folder\. Give the folder that contains the data\.$"):
        list(walk(tmp_path / "none"))
