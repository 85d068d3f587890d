"""Which files are imported, and what their names say."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from dlcli.data.images.importing.source_files import find_sources
from dlcli.errors import InputError


def touch(folder: Path, names: Sequence[str]) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


@pytest.mark.parametrize(
    ("names", "file_format", "splits"),
    [
        (
            ["data/train-00000-of-00002-ab12.parquet", "data/train-00001-of-00002-cd34.parquet", "data/test.parquet"],
            "parquet",
            ["test", "train", "train"],
        ),
        (["default/test/0000.parquet", "default/train/0000.parquet"], "parquet", ["test", "train"]),
        (
            ["m-train.tfrecord-00000-of-00001", "m-validation.tfrecord-00000-of-00001"],
            "tfrecord",
            ["train", "validation"],
        ),
        (["train-00000-of-00001", "validation-00000-of-00001"], "tfrecord", ["train", "validation"]),
        (["a.tar", "b.tar.gz", "c.tgz", ".hidden.tar", "README.md", "._a.tar"], "tar", ["train"] * 3),
    ],
)
def test_formats_and_splits(tmp_path: Path, names: Sequence[str], file_format: str, splits: Sequence[str]) -> None:
    found = find_sources([touch(tmp_path / "d", [*names, "README.md", "dataset_infos.json"])])
    assert found.format == file_format
    assert [file.split for file in found.files] == splits
    assert [file.name for file in found.files] == sorted(name for name in names if not name.startswith((".", "README")))
    assert found.has_splits == (len(set(splits)) > 1)


def test_files_by_name_and_by_content(tmp_path: Path) -> None:
    touch(tmp_path, ["train-00000-of-00009.parquet", "test.data"])
    (tmp_path / "test.data").write_bytes(b"PAR1")
    found = find_sources([tmp_path / "train-00000-of-00009.parquet", tmp_path / "test.data"])
    assert found.format == "parquet"
    assert [file.name for file in found.files] == ["test.data", "train-00000-of-00009.parquet"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a.txt", "b.txt", "c"], "must contain Parquet (.parquet), TFRecord"),
        (["a.txt", "b.txt", "c"], "Received .txt (2), no suffix (1)."),
        ([], "Received no files."),
        (["a.parquet", "b.tar"], "the files must be of one format. Received parquet and tar: give those of one."),
        (
            ["x-00000-of-00003.tar", "x-00002-of-00003.tar"],
            "must be present, and x-00001-of-00003 is missing. Download",
        ),
        (["x-00001-of-00003.tar"], "all parts must be present, and x-00000-of-00003 and 1 more is missing."),
        (
            ["train.tar", "extra.tar"],
            "must say their split, train, validation (or val, valid, dev, eval) or test, or none.",
        ),
        (["train.tar", "extra.tar"], "Received 'extra.tar': give the files to import by name."),
        (
            ["test.tar", "val.tar"],
            "there must be files of train. Received test and validation: give the files of train",
        ),
    ],
)
def test_refused_folders(tmp_path: Path, names: Sequence[str], message: str) -> None:
    (tmp_path / "d").mkdir()
    with pytest.raises(InputError) as error:
        find_sources([touch(tmp_path / "d", names)])
    assert str(error.value).startswith(f"{tmp_path / 'd'}: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_refused_files(tmp_path: Path) -> None:
    touch(tmp_path, ["a.py"])
    with pytest.raises(InputError, match=r"a\.py: expected Parquet"):
        find_sources([tmp_path / "a.py"])
    with pytest.raises(InputError, match=r"b\.tar: no such file\. Give a folder, or files, to import\."):
        find_sources([tmp_path / "b.tar"])
    with pytest.raises(InputError, match=r": give one folder, or files\."):
        find_sources([tmp_path, tmp_path / "a.py"])
