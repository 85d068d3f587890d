"""Imported images are the same, byte for byte, as a data set of shards."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlcli.data.images.dataset import Reading
from dlcli.data.images.importing.samples import ForeignImage
from dlcli.data.images.importing.shards import Import, OnBadImage
from dlcli.data.images.importing.source_files import SourceFile, Sources
from dlcli.data.images.sources.shards import COLUMNS, INDEX, read_shards
from dlcli.errors import InputError
from dlcli.rundir.tables import write_csv


class Given:
    """Reads nothing: every file has the same images, some of classes with numbers."""

    def __init__(self, images: list[bytes]) -> None:
        self.images = images

    def count(self, file: Path) -> int:
        return len(self.images)

    def read(self, file: Path, name: str) -> Iterator[ForeignImage]:
        for i, data in enumerate(self.images):
            yield ForeignImage(f"{name}/{i}", f"{file}: row {i}", data, None if name == "b" else i % 2, "ab"[i % 2])


def imported(images: list[bytes], folder: Path, splits: dict[str, str], on_bad_image: OnBadImage = "error") -> Import:
    folder.mkdir()
    sources = Sources(tuple(SourceFile(Path(name), name, split) for name, split in splits.items()), "tar", True)
    task = Import(sources, Given(images), folder, 3000, on_bad_image)
    seen: list[tuple[int, int]] = []
    write_csv(folder / INDEX, COLUMNS, task.index(lambda *numbers: seen.append(numbers)))
    assert seen[-1] == (len(seen), len(images) * len(splits))
    return task


def test_the_images_are_the_same(images: list[bytes], tmp_path: Path, common: dict[str, Any]) -> None:
    task = imported(images[:8], tmp_path / "s", {"a": "train", "b": "test"})
    assert (task.samples, task.classes) == ({"train": 8, "test": 8}, {"a", "b"})
    assert len(list((tmp_path / "s").glob("train-*.tar"))) > 1  # of at most 3,000 bytes
    dataset = read_shards(
        path=tmp_path / "s", reading=Reading(), **(common | {"validation": 0.0, "allow_leakage": True})
    )
    for split, file in (("train", "a"), ("test", "b")):
        samples = dataset.splits[split]
        assert samples.names == tuple(f"{file}/{i}" for i in range(8))
        assert samples.labels.tolist() == [0, 1] * 4
        assert [member.read() for member in samples.files or ()] == images[:8]  # type: ignore[union-attr]
        assert samples.load(np.arange(8)).shape == (8, 6, 5, 3)
    beside = [name for shard in sorted((tmp_path / "s").glob("*.tar")) for name in contents(shard)]
    assert beside.count(b"0") == beside.count(b"1") == beside.count(b"a") == 4


def contents(shard: Path) -> list[bytes]:
    import tarfile

    with tarfile.open(shard) as tar:
        return [tar.extractfile(info).read() for info in tar if not info.name.endswith(".png")]  # type: ignore[union-attr]


def test_an_image_that_cannot_be_decoded(images: list[bytes], tmp_path: Path) -> None:
    bad = [*images[:3], images[3][:40], *images[4:6]]
    with pytest.raises(InputError) as error:
        imported(bad, tmp_path / "error", {"a": "train"})
    assert str(error.value).startswith("a: row 3: ")
    assert str(error.value).endswith(". Repair it, or leave out such images with --on-bad-image skip.")
    task = imported(bad, tmp_path / "skip", {"a": "train"}, "skip")
    assert task.samples["train"] == 5
    assert [line.partition(": ")[2][:5] for line in task.left_out] == ["row 3"]


def test_files_without_images(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    task = Import(Sources((SourceFile(Path("a"), "a", "train"),), "tar", False), Given([]), tmp_path / "s", 9, "error")
    with pytest.raises(InputError, match=r"^a: there must be images to train on\. Received none\.$"):
        list(task.index(lambda done, total: None))
