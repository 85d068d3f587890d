"""What lies beside data: by the names that systems, archives and people give it."""

import pytest

from dlcli.data.junk import is_document, is_junk, pattern_of, unmatched


@pytest.mark.parametrize(
    "name",
    [
        ".DS_Store",
        "._1.jpg",
        "Thumbs.db",
        "THUMBS.DB",
        "desktop.ini",
        "__MACOSX",
        ".ipynb_checkpoints",
        "labels.cache",
        "Icon\r",
    ],
)
def test_droppings(name: str) -> None:
    assert is_junk(name)


@pytest.mark.parametrize(
    "name",
    [
        "README",
        "readme.txt",
        "README.roboflow.txt",
        "Read Me.txt",
        "LICENSE",
        "LICENSE.txt",
        "licence.md",
        "SOURCE.md",
        "paper.pdf",
    ],
)
def test_documents(name: str) -> None:
    assert is_document(name)
    assert not is_junk(name)


@pytest.mark.parametrize("name", ["1.jpg", "cats", "train", "source.txt", "thumbs", "reader.txt", "licensed", "cache"])
def test_data(name: str) -> None:
    assert not is_junk(name)
    assert not is_document(name)


def test_exclusion_is_by_name_or_path() -> None:
    assert pattern_of("train/ants/1.gif", ["*.png", "*.gif"]) == "*.gif"
    assert pattern_of("train/ants/1.gif", ["1.gif"]) == "1.gif"
    assert pattern_of("train/ants/1.gif", ["ants/*"]) is None


def test_patterns_that_no_name_fits() -> None:
    exclude = ["train/1.png", "2.png", "*.gif", "x[0-9]", "[!a-z0-9]*", "absent", "absent*"]
    names = ["train/1.png", "val/2.png", "a/b.gif", "x7", "Z"]
    assert unmatched(exclude, names) == ["absent", "absent*"]
    assert all(pattern_of(name, exclude) is not None for name in names)
    assert pattern_of("train/11.png", exclude) is None
    assert unmatched([], names) == []
