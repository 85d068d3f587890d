"""Paths that tables and annotations name."""

from pathlib import Path

import pytest

from dlcli.data.paths import is_outside, path_named


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.png", False),
        ("b/../a.png", False),
        ("b/../../data/a.png", False),
        ("../a.png", True),
        ("..", True),
        ("../data2/a.png", True),
        ("b\\..\\..\\a.png", True),
        ("/etc/passwd", True),
    ],
)
def test_outside_is_by_the_path_as_it_is_written(tmp_path: Path, name: str, expected: bool) -> None:
    root = tmp_path / "data"
    assert is_outside(root, path_named(root, name)) == expected


def test_absolute_paths_and_links_in_the_folder_are_inside(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "scratch").mkdir()
    (tmp_path / "data" / "link").symlink_to(tmp_path / "scratch")
    (tmp_path / "other").symlink_to(tmp_path / "data")
    assert not is_outside(tmp_path / "data", tmp_path / "data" / "a.png")
    assert not is_outside(tmp_path / "data", tmp_path / "data" / "link" / "a.png")
    assert not is_outside(tmp_path / "other", tmp_path / "data" / "a.png")


def test_backslashes_separate_folders_unless_a_file_has_the_name(tmp_path: Path) -> None:
    assert path_named(tmp_path, "images\\1.png") == tmp_path / "images" / "1.png"
    (tmp_path / "a\\b.png").touch()
    assert path_named(tmp_path, "a\\b.png") == tmp_path / "a\\b.png"
