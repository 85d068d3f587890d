"""Tar files in WebDataset's layout."""

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pytest

from dlcli.data.images.importing.tars import TarReader
from dlcli.errors import InputError


def write(path: Path, files: Mapping[str, bytes], mode: Literal["w", "w:gz", "w:xz"] = "w") -> Path:
    with tarfile.open(path, mode) as tar:
        tar.addfile(tarfile.TarInfo("folder"))
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def reader(**keys: Any) -> TarReader:
    return TarReader(**{"image": None, "label": None, "names": None} | keys)


def samples(images: list[bytes], suffix: str = "cls") -> dict[str, bytes]:
    files = {}
    for i, data in enumerate(images):
        files |= {f"a/{i:03}.PNG": data, f"a/{i:03}.{suffix}": b"%d\n" % (i % 3), f"a/._{i:03}.png": b"junk"}
    return files


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_images_with_numbers(tmp_path: Path, images: list[bytes], mode: Literal["w", "w:gz", "w:xz"]) -> None:
    file = write(tmp_path / "s.tar", samples(images), mode)
    assert reader().count(file) == len(images)
    found = list(reader(names=("x", "y", "z")).read(file, "s.tar"))
    assert [image.data for image in found] == images
    assert [(image.number, image.label) for image in found[:3]] == [(0, "x"), (1, "y"), (2, "z")]
    assert (found[1].name, found[1].place) == ("s.tar/a/001.PNG", f"{file}: a/001")
    if mode != "w":
        assert found[1].stored is None
        return
    assert found[1].stored is not None
    shard, name, offset, size = found[1].stored
    assert (shard, name) == ("s.tar", "001.PNG")
    assert file.read_bytes()[offset : offset + size] == images[1]


@pytest.mark.parametrize(
    ("beside", "keys", "expected"),
    [
        ({"txt": b"cat\n"}, {}, (None, "cat")),
        ({"cls": b"4", "txt": b"a cat on a mat"}, {}, (4, "4")),
        ({"cls": b"4", "txt": b"a cat on a mat"}, {"label": "txt"}, (None, "a cat on a mat")),
        ({"json": b'{"label": 4}'}, {}, (4, "4")),
        ({"json": b'{"kind": "cat", "label": 4}'}, {"label": "kind"}, (None, "cat")),
        ({"json": b"4"}, {}, (4, "4")),
        ({"class": b"cat"}, {"label": ".class"}, (None, "cat")),
    ],
)
def test_where_the_label_is(
    tmp_path: Path, images: list[bytes], beside: dict[str, bytes], keys: dict[str, Any], expected: tuple[Any, str]
) -> None:
    files = {"1.png": images[0], **{f"1.{suffix}": content for suffix, content in beside.items()}}
    (found,) = reader(**keys).read(write(tmp_path / "s.tar", files), "s.tar")
    assert (found.number, found.label) == expected


def test_which_file_is_the_image(tmp_path: Path, images: list[bytes]) -> None:
    files = {"1.input.png": images[0], "1.seg.png": images[1], "1.cls": b"0"}
    file = write(tmp_path / "s.tar", files)
    (found,) = reader(image="input.png").read(file, "s.tar")
    assert found.data == images[0]
    with pytest.raises(
        InputError, match=r"1: there must be one image\. Received '\.input\.png', '\.seg\.png', '\.cls'"
    ):
        list(reader().read(file, "s.tar"))
    with pytest.raises(InputError, match=r"1: there must be a file \.jpg\. Received"):
        list(reader(image="jpg").read(file, "s.tar"))


@pytest.mark.parametrize(
    ("files", "keys", "message"),
    [
        (
            {"1.png": b"", "1.npy": b""},
            {},
            "1: has no file .cls, .txt or .json for the label. Received '.png', '.npy':",
        ),
        (
            {"1.png": b"", "1.cls": b"1"},
            {"label": "x"},
            "1: has no file .x or .json for the label. Received '.png', '.cls'",
        ),
        ({"1.png": b"", "1.json": b"{"}, {}, "1: its .json is not valid JSON. Correct it, or give"),
        (
            {"1.png": b"", "1.json": b'{"a": 1}'},
            {},
            "must have the key label or cls or class. Received 'a': set --label",
        ),
        ({"1.png": b"", "1.json": b'{"a": 1}'}, {"label": "b"}, "its .json must have the key b. Received 'a'"),
        ({"1.png": b"", "1.json": json.dumps([1]).encode()}, {}, "its label must be one class. Received a list of 1."),
        ({"1.png": b"", "1.cls": b""}, {}, "1: has no label: it is empty."),
    ],
)
def test_refused_samples(tmp_path: Path, files: dict[str, bytes], keys: dict[str, Any], message: str) -> None:
    file = write(tmp_path / "s.tar", files)
    with pytest.raises(InputError) as error:
        list(reader(**keys).read(file, "s.tar"))
    assert str(error.value).startswith(f"{file}: ")
    assert message in str(error.value)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
@pytest.mark.parametrize("at", [0, 100, 512 * 3, 512 * 5, -10240])  # also between two files, where a header would begin
def test_a_truncated_file(tmp_path: Path, images: list[bytes], mode: Literal["w", "w:gz", "w:xz"], at: int) -> None:
    file = write(tmp_path / "s.tar", samples(images), mode)
    content = file.read_bytes()
    if mode != "w":
        at = at * len(content) // 100_000
    file.write_bytes(content[:at])
    with pytest.raises(InputError) as error:
        reader().count(file)
    assert str(error.value) == f"{file}: is not a tar file, or is truncated or corrupt. Download or write it again."
