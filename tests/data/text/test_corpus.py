"""A long text split by position."""

from pathlib import Path
from typing import Any

import pytest

from dlcli.data.text.corpus import read_long_text
from dlcli.errors import InputError


def read(path: Path, **keys: Any) -> Any:
    common = {"validation_path": None, "test_path": None, "validation": None, "test": None, "encoding": "utf-8"}
    return read_long_text(path=path, **(common | keys))


def test_a_text_is_split_by_position(tmp_path: Path) -> None:
    text = "".join(chr(97 + i % 26) for i in range(1000))
    (tmp_path / "a.txt").write_text(text)
    dataset = read(tmp_path / "a.txt")
    assert [len(part) for part in dataset.splits.values()] == [850, 50, 100]
    assert "".join(part.text for part in dataset.splits.values()) == text
    assert dataset.splits["test"].place == "a.txt, characters 901 to 1,000"
    rows = dataset.split_rows()
    assert [row["split"] for row in rows] == ["train", "validation", "test"]
    (tmp_path / "a.txt").write_text(text[:-1] + "!")
    assert read(tmp_path / "a.txt").fingerprint() != dataset.fingerprint()


def test_further_files_become_splits(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.txt").write_text(name * 10 + "\r\n")
    dataset = read(tmp_path / "a.txt", validation_path=tmp_path / "b.txt", test_path=tmp_path / "c.txt")
    assert [part.text for part in dataset.splits.values()] == [f"{name * 10}\n" for name in "abc"]


@pytest.mark.parametrize(
    ("content", "keys", "message"),
    [
        (b" \n\n", {}, "there must be text. Received an empty file."),
        (b"abc\xff", {}, "a.txt:1: the text must be UTF-8 text. Received byte 0xff"),
        (b"ab\0c", {}, "Received a null character"),
        (b"a", {"validation": 0.0, "test": 0.6}, "there must be text to train on"),
    ],
)
def test_files_that_are_not_text_are_refused(
    tmp_path: Path, content: bytes, keys: dict[str, Any], message: str
) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(InputError, match=message.replace(".", r"\.")):
        read(tmp_path / "a.txt", **keys)


def test_a_folder_has_a_text_for_each_split(tmp_path: Path) -> None:
    for name in ("train", "valid", "test"):
        (tmp_path / f"ptb.{name}.txt").write_text(f"the {name}")
    (tmp_path / "README").write_text("about it")
    options: dict[str, Any] = {"validation_path": None, "test_path": None, "encoding": "utf-8"}
    texts = read_long_text(path=tmp_path, validation=None, test=None, **options)
    assert {split: part.text for split, part in texts.splits.items()} == {
        "train": "the train",
        "validation": "the valid",
        "test": "the test",
    }
    assert texts.splits["test"].place == "ptb.test.txt, characters 1 to 8"
    with pytest.raises(InputError, match=r"has a file for test, 'ptb\.test\.txt': remove data\.test\."):
        read_long_text(path=tmp_path, validation=None, test=0.1, **options)
