"""TFRecord files of tf.train.Example, with and without the description of TensorFlow Datasets."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from dlcli.data.images.importing.tfds_features import read_features
from dlcli.data.images.importing.tfrecord import TFRecordReader
from dlcli.errors import InputError


def example(**features: bytes | int | list[int]) -> bytes:
    """A record; two underscores in a name stand for a slash."""
    found = {}
    for name, value in features.items():
        values = value if isinstance(value, list) else [value]
        found[name.replace("__", "/")] = (
            tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
            if isinstance(value, bytes)
            else tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        )
    return bytes(tf.train.Example(features=tf.train.Features(feature=found)).SerializeToString())


def write(path: Path, records: Sequence[bytes], compression: str = "") -> Path:
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for record in records:
            writer.write(record)
    return path


def reader(**keys: Any) -> TFRecordReader:
    return TFRecordReader(**{"image": None, "label": None, "names": None} | keys)


def described(folder: Path, names: Sequence[str] | None = ("cat", "dog", "fish"), **kinds: str) -> Path:
    """Write what TensorFlow Datasets writes beside the records."""
    folder.mkdir(exist_ok=True)
    prefix = "tensorflow_datasets.core.features"
    classes = {name: {"pythonClassName": f"{prefix}.{kind.lower()}_feature.{kind}"} for name, kind in kinds.items()}
    content = {"pythonClassName": f"{prefix}.features_dict.FeaturesDict", "featuresDict": {"features": classes}}
    (folder / "features.json").write_text(json.dumps(content))
    if names is not None:
        (folder / "label.labels.txt").write_text("\n".join(names))
    return folder


@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_records_in_the_layout_of_imagenet(tmp_path: Path, images: list[bytes], compression: str) -> None:
    records = [
        example(
            image__encoded=data,
            image__class__label=i + 1,
            image__class__text=b"n%d" % i,
            image__filename=b"a/%d.png" % i,
        )
        for i, data in enumerate(images)
    ]
    file = write(tmp_path / "a", records, compression)
    assert reader().count(file) == len(images)
    found = list(reader().read(file, "a"))
    assert [image.data for image in found] == images
    assert [(image.number, image.label) for image in found[:2]] == [(None, "n0"), (None, "n1")]
    assert (found[1].name, found[1].place) == ("a/2/1.png", f"{file}: record 2")
    named = reader(names=("", *(f"N{i}" for i in range(len(images)))))
    assert [(image.number, image.label) for image in named.read(file, "a")][:2] == [(1, "N0"), (2, "N1")]


def test_a_folder_of_tensorflow_datasets(tmp_path: Path, images: list[bytes]) -> None:
    folder = described(tmp_path / "1.0.0", photo="Image", label="ClassLabel", id="Text")
    file = write(folder / "a", [example(photo=data, label=i % 3, id=b"x") for i, data in enumerate(images)])
    found = list(reader().read(file, "a"))
    assert [image.data for image in found] == images
    assert [(image.number, image.label) for image in found[:3]] == [(0, "cat"), (1, "dog"), (2, "fish")]


def test_classes_without_names(tmp_path: Path, images: list[bytes]) -> None:
    folder = described(tmp_path / "1.0.0", names=None, image="Image", label="ClassLabel")
    file = write(folder / "a", [example(image=images[0], label=7)])
    assert [image.label for image in reader().read(file, "a")] == ["7"]


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        ({"image": "Image"}, "there must be a feature Image and a feature ClassLabel. Received 'image (Image)'."),
        ({}, "there must be a feature Image and a feature ClassLabel. Received ."),
    ],
)
def test_descriptions_without_a_class(tmp_path: Path, kinds: dict[str, str], message: str) -> None:
    with pytest.raises(InputError) as error:
        read_features(described(tmp_path / "d", **kinds))
    assert str(error.value) == f"{tmp_path / 'd' / 'features.json'}: {message}"


@pytest.mark.parametrize("content", ["{}", "[]", '{"featuresDict": {"features": {"a": 1}}}'])
def test_descriptions_of_another_version(tmp_path: Path, content: str) -> None:
    (tmp_path / "features.json").write_text(content)
    with pytest.raises(InputError, match=r"must describe the features as TensorFlow Datasets 4 does"):
        read_features(tmp_path)


def test_several_classes_in_a_description(tmp_path: Path, images: list[bytes]) -> None:
    folder = described(tmp_path / "d", image="Image", label="ClassLabel", coarse="ClassLabel")
    file = write(folder / "a", [example(image=images[0], label=1, coarse=0)])
    with pytest.raises(
        InputError, match=r"record 1: several features may be the label: 'label', 'coarse'\. Choose one"
    ):
        list(reader().read(file, "a"))
    assert [image.label for image in reader(label="label").read(file, "a")] == ["dog"]


@pytest.mark.parametrize(
    ("features", "keys", "message"),
    [
        ({"a": 1}, {}, "has no feature for the image. Set --image. Features: 'a'."),
        ({"image": b"x"}, {}, "has no feature for the label. Set --label. Features: 'image'."),
        (
            {"image": b"x", "label": 1},
            {"label": "y"},
            "has no feature 'y' for --label. Set --label. Features: 'image',",
        ),
        ({"image": 3, "label": 1}, {}, "feature 'image' must be one image file, as bytes. Set --image."),
        ({"image": b"x", "label": []}, {}, "feature 'label': has no label. Correct it, or give only the files whose"),
        ({"image": b"x", "label": [1, 2]}, {}, "feature 'label': its label must be one class. Received a list of 2."),
    ],
)
def test_refused_records(tmp_path: Path, features: dict[str, Any], keys: dict[str, Any], message: str) -> None:
    file = write(tmp_path / "a", [example(**features)])
    with pytest.raises(InputError) as error:
        list(reader(**keys).read(file, "a"))
    assert str(error.value).startswith(f"{file}: record 1: {message}")


def test_wrong_checksums(tmp_path: Path, images: list[bytes]) -> None:
    file = write(tmp_path / "a", [example(image=data, label=0) for data in images])
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"a: record \d+ is truncated or corrupt: its checksum is wrong\."):
        reader().count(file)
    file.write_bytes(b"no records at all")
    with pytest.raises(InputError, match=r"a: is not a TFRecord file, or its first record is truncated or corrupt"):
        reader().count(file)
    write(file, [b"\xff\xff\xff"])
    with pytest.raises(InputError, match=r"a: record 1: must be a tf\.train\.Example"):
        list(reader().read(file, "a"))
