"""Parquet files as Hugging Face's library writes them, and others."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dlcli.data.images.importing.parquet import ParquetReader
from dlcli.errors import InputError

NAMES = ["cat", "dog", "fish"]


def write(path: Path, columns: dict[str, Any], features: dict[str, Any] | None = None) -> Path:
    table = pa.table(columns)
    if features is not None:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path)
    return path


def structs(images: Sequence[bytes]) -> list[dict[str, Any]]:
    return [{"bytes": data, "path": f"photos/{i}.png"} for i, data in enumerate(images)]


def labels(images: Sequence[bytes]) -> list[int]:
    return [i % 3 for i in range(len(images))]


def reader(**keys: Any) -> ParquetReader:
    return ParquetReader(**{"image": None, "label": None, "names": None} | keys)


FEATURES: dict[str, Any] = {
    "photo": {"_type": "Image"},
    "kind": {"_type": "ClassLabel", "names": NAMES},
    "label": {"_type": "Value", "dtype": "int64"},
}


def test_the_metadata_names_columns_and_classes(tmp_path: Path, images: list[bytes]) -> None:
    """Even if another column is called label."""
    columns = {"photo": structs(images), "kind": labels(images), "label": [9] * len(images)}
    file = write(tmp_path / "a.parquet", columns, FEATURES)
    assert reader().count(file) == len(images)
    found = list(reader().read(file, "x/a.parquet"))
    assert [image.data for image in found] == images
    assert [(image.number, image.label) for image in found] == [(i, NAMES[i]) for i in labels(images)]
    assert found[2].name == "x/a.parquet/3/2.png"
    assert found[2].place == f"{file}: row 3"


@pytest.mark.parametrize("broken", [b"no JSON", b"{}", b'{"info": {"features": [1]}}', b'{"info": 1}'])
def test_without_valid_metadata_names_of_columns_are_tried(tmp_path: Path, images: list[bytes], broken: bytes) -> None:
    table = pa.table({"img": images, "label": ["b", "a"] * (len(images) // 2), "id": list(range(len(images)))})
    pq.write_table(table.replace_schema_metadata({"huggingface": broken}), tmp_path / "a.parquet")
    found = list(reader().read(tmp_path / "a.parquet", "a.parquet"))
    assert [image.data for image in found] == images
    assert [(image.number, image.label, image.name) for image in found[:2]] == [
        (None, "b", "a.parquet/1"),
        (None, "a", "a.parquet/2"),
    ]


def test_columns_and_names_that_are_given(tmp_path: Path, images: list[bytes]) -> None:
    file = write(tmp_path / "a.parquet", {"x": images, "y": images, "n": labels(images)})
    found = list(reader(image="y", label="n", names=("A", "B", "C")).read(file, "a"))
    assert [image.label for image in found[:3]] == ["A", "B", "C"]


@pytest.mark.parametrize(
    ("columns", "keys", "message"),
    [
        ({"a": [1], "b": ["x"]}, {}, ": no column is the image by its name. Set --image. Columns: 'a', 'b'."),
        ({"image": [b"x"], "b": [1]}, {}, ": no column is the label by its name. Set --label. Columns: 'image', 'b'."),
        ({"image": [b"x"], "b": [1]}, {"label": "c"}, ": there is no column 'c' for --label. Columns: 'image', 'b'."),
        ({"image": [b"x"], "img": [b"x"]}, {}, ": several columns may be the image: 'image', 'img'. Choose one with"),
        (
            {"image": ["a.png"], "label": [1]},
            {},
            ": column 'image' must contain image files, as bytes. Received string",
        ),
        ({"image": [b"x", None], "label": [1, 1]}, {}, ": row 2: has no image. Write the Parquet file with the images"),
        (
            {"image": [{"bytes": None, "path": "a.png"}], "label": [1]},
            {},
            "row 1: has the path of an image, 'a.png', not its bytes. Write the Parquet file with the images in it.",
        ),
        (
            {"image": [b"x", b"x"], "label": [1, None]},
            {},
            "row 2: column 'label': has no label. Correct it, or give only the files whose images have labels.",
        ),
        (
            {"image": [b"x"], "label": [[0, 1]]},
            {},
            "column 'label': its label must be one class. Received a list of 2.",
        ),
    ],
)
def test_refused_columns(tmp_path: Path, columns: dict[str, Any], keys: dict[str, Any], message: str) -> None:
    file = write(tmp_path / "a.parquet", columns)
    with pytest.raises(InputError) as error:
        list(reader(**keys).read(file, "a"))
    assert message in str(error.value)
    assert str(error.value).startswith(f"{file}: ")


def test_files_must_have_the_same_classes(tmp_path: Path, images: list[bytes]) -> None:
    columns = {"photo": structs(images), "kind": labels(images), "label": labels(images)}
    first = write(tmp_path / "a.parquet", columns, FEATURES)
    other = {**FEATURES, "kind": {"_type": "ClassLabel", "names": ["fish", "cat", "dog"]}}
    second = write(tmp_path / "b.parquet", columns, other)
    read = reader()
    read.count(first)
    with pytest.raises(InputError, match=r"b\.parquet: must have the names of classes of a\.parquet"):
        read.count(second)


@pytest.mark.parametrize("part", [0.0, 0.5, 0.99])
def test_a_truncated_file(tmp_path: Path, images: list[bytes], part: float) -> None:
    file = write(tmp_path / "a.parquet", {"image": images, "label": labels(images)})
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(InputError) as error:
        reader().count(file)
    assert str(error.value) == f"{file}: is not a Parquet file, or is truncated or corrupt. Download or write it again."


def test_without_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(
        InputError, match=r"^Parquet files need the package pyarrow\. Install it with pip install 'dlcli"
    ):
        reader()
