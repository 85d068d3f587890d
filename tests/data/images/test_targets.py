"""Images without a class: numbers and maps as targets, data sets of them, and batches that read targets from files."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from dlcli.data.annotations import BatchMixing, Loader, Target
from dlcli.data.augmentation.augmentation import Augmentation
from dlcli.data.augmentation.mixup import MixedBatch, Mixing
from dlcli.data.boxes.targets import BoxTarget
from dlcli.data.images.batches import Batches
from dlcli.data.images.dataset import assemble_files, assemble_images
from dlcli.data.images.decoding import ImagePolicy
from dlcli.data.images.samples import ImageAnnotation
from dlcli.data.images.targets import ArrayTarget
from dlcli.data.listing import Listing
from dlcli.data.splits import NO_LABEL
from dlcli.errors import InputError

NUM_SAMPLES, BATCH_SIZE = 11, 4
PIXELS = np.random.default_rng(1).integers(0, 256, (NUM_SAMPLES, 6, 8, 3), np.uint8)
VALUES = np.arange(2 * NUM_SAMPLES, dtype=np.float32).reshape(-1, 2)
NO_CLASSES = np.full(NUM_SAMPLES, NO_LABEL, np.int32)


@dataclass(frozen=True)
class Numbers(ImageAnnotation):
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.values)

    def take(self, index: np.ndarray) -> "Numbers":
        return Numbers(self.values[index])

    def columns(self) -> Mapping[str, Sequence[str]]:
        return {"first": [str(value) for value in self.values[:, 0]]}

    def target(self, policy: ImagePolicy | None) -> Target:
        return ArrayTarget("value", self.values)


@dataclass(frozen=True)
class FileTarget(Target):
    """A map for each sample that is "read from a file"."""

    fails: bool = False

    def take(self, index: np.ndarray) -> "FileTarget":
        return self

    def loaders(self) -> Mapping[str, Loader]:
        return {"map": Loader(self._load, (6, 8), "uint8")}

    def _load(self, index: np.ndarray) -> np.ndarray:
        if self.fails:
            raise InputError("3.png: cannot be read.")
        return PIXELS[index, :, :, 0]

    def batch(self, element: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"mask": element["map"]} if "map" in element else {}

    def mixed(self, entries: Mapping[str, Any], mixing: BatchMixing) -> Mapping[str, Any]:
        return {name: mixing.pasted(values) for name, values in entries.items()}


def make(*targets: Target, in_memory: bool = True, labels: np.ndarray = NO_CLASSES, **keys: Any) -> Batches:
    return Batches(
        labels=labels,
        pixels=PIXELS if in_memory else None,
        load=lambda index: PIXELS[index],
        shape=PIXELS.shape[1:],
        batch_size=BATCH_SIZE,
        targets=targets,
        **{"seed": 3, **keys},
    )


def read(data: Batches, epoch: int = 0) -> list[dict[str, Any]]:
    compiled = tf.function(lambda source, step: data.assemble(data.element(source, step)), autograph=False)
    source = data.source(epoch)
    return [tf.nest.map_structure(np.asarray, compiled(source, tf.constant(step, tf.int64))) for step in range(3)]


@pytest.mark.parametrize("in_memory", [True, False])
def test_numbers_come_with_their_images_which_need_no_class(in_memory: bool, everything: Augmentation) -> None:
    seen = []
    for batch in read(make(ArrayTarget("value", VALUES), in_memory=in_memory, augmentation=everything)):
        assert set(batch["y"]) == {"value"}
        np.testing.assert_array_equal(batch["y"]["value"], VALUES[batch["index"]])
        seen += batch["index"].tolist()
    assert sorted(seen) == list(range(NUM_SAMPLES))


@pytest.mark.parametrize("in_memory", [True, False])
def test_targets_are_read_from_files_whether_images_are_in_memory_or_not(in_memory: bool) -> None:
    for batch in read(make(FileTarget(), in_memory=in_memory)):
        np.testing.assert_array_equal(batch["y"]["mask"], PIXELS[batch["index"], :, :, 0])
        np.testing.assert_array_equal(batch["x"], PIXELS[batch["index"]].astype(np.float32))


def test_why_a_target_cannot_be_read_is_kept() -> None:
    data = make(FileTarget(fails=True))
    with pytest.raises(tf.errors.OpError):
        read(data)
    assert str(data.failure) == "3.png: cannot be read."


def test_numbers_are_mixed_by_the_parts_of_the_images() -> None:
    labels = (np.arange(NUM_SAMPLES) % 2).astype(np.int32)
    one_hot = np.eye(2, dtype=np.float32)[labels]
    data = make(ArrayTarget("value", one_hot), labels=labels, mixing=Mixing(0.3, 1.0), num_classes=2)
    for batch in read(data):
        np.testing.assert_array_equal(batch["y"]["value"], batch["y"]["class"])


def test_maps_are_pasted_where_the_images_are() -> None:
    pixels = tf.constant(PIXELS[:4], tf.float32)
    cut = tf.constant([[2.0, 1.0, 5.0, 4.0]] * 4)
    mixed = MixedBatch(tf.ones(4), cut, 6, 8, has_mixup=False)
    expected = PIXELS[:4].copy()
    expected[:, 1:4, 2:5] = PIXELS[:4][::-1, 1:4, 2:5]
    np.testing.assert_array_equal(mixed.images(pixels), expected)
    np.testing.assert_array_equal(mixed.pasted(pixels[..., 0]), expected[..., 0])


def test_boxes_cannot_be_mixed() -> None:
    boxes = np.tile(np.array([0, 0, 1, 1], np.float32), (NUM_SAMPLES, 1))
    with pytest.raises(TypeError, match="box, box_weight: targets of this kind cannot be mixed"):
        read(make(BoxTarget(boxes), mixing=Mixing(0.3, None)))


def common_keys(common: dict[str, Any], **changes: Any) -> Any:
    return {**common, **changes}


def test_a_data_set_without_classes(common: dict[str, Any]) -> None:
    listing = Listing(
        names=tuple(f"{i:02}" for i in range(NUM_SAMPLES)),
        labels=np.arange(NUM_SAMPLES, dtype=np.int32) % 2,  # ignored
        arrays=PIXELS,
        annotations={"values": Numbers(VALUES)},
    )
    dataset = assemble_images(
        {"train": listing}, ("width", "height"), source="x.npz", has_classes=False, common=common_keys(common)
    )
    assert dataset.classes == ("width", "height")
    assert not dataset.has_classes
    assert not dataset.warnings
    rows = dataset.split_rows()
    assert {row["label"] for row in rows} == {""}
    assert sorted(row["first"] for row in rows) == sorted(str(value) for value in VALUES[:, 0])
    train = dataset.splits["train"]
    (target,) = train.targets()
    assert isinstance(target, ArrayTarget)
    by_name = {f"{i:02}": values for i, values in enumerate(VALUES)}
    np.testing.assert_array_equal(target.values, [by_name[name] for name in train.names])


@dataclass(frozen=True)
class Row:
    name: str
    file: Path
    split: str = "train"
    group: str = ""
    label: str = ""
    line: int = 1


def rows_of(root: Path) -> list[Row]:
    return [Row(path.name, path) for path in sorted(root.rglob("*.png"))]


def assemble(rows: Sequence[Row], common: dict[str, Any], **keys: Any) -> Any:
    return assemble_files(
        rows,
        source="values.csv",
        rule="there must be images to train on.",
        place=str,
        trained=None,
        aliases={},
        progress=None,
        common=common_keys(common, **keys),
        on_bad_image="skip",
        outputs=("a", "b"),
        annotate=lambda part: {"values": Numbers(np.array([[int(row.name[:3]), 0] for row in part], np.float32))},
    )


def test_files_without_classes_keep_their_numbers(save_classes: Callable[..., Path], common: dict[str, Any]) -> None:
    dataset = assemble(rows_of(save_classes(only=20)), common, limit=10)
    assert {name: len(samples) for name, samples in dataset.splits.items()} == {
        "train": 10,
        "validation": 2,
        "test": 4,
    }
    for samples in dataset.splits.values():
        (target,) = samples.targets()
        assert target.values[:, 0].tolist() == [int(name[:3]) for name in samples.names]
    assert dataset.classes == ("a", "b")


def test_a_data_set_without_classes_needs_an_image_to_train_on(
    save_classes: Callable[..., Path], common: dict[str, Any]
) -> None:
    root = save_classes(only=4)
    rows = [Row(row.name, row.file, split) for row, split in zip(rows_of(root), ["train", *["test"] * 3], strict=True)]
    rows[0].file.write_bytes(b"no image")
    with pytest.raises(InputError, match=r"values\.csv: train must have a readable image\. Received none"):
        assemble(rows, {**common, "validation": 0.0})
