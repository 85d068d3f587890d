"""Annotations follow their samples; a new kind of them needs no change to listings, samples or batches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.data.annotations import Array, Items, Loader, Target, find
from dlcli.data.augmentation.affine import warp
from dlcli.data.augmentation.augmentation import Augmentation
from dlcli.data.images.batches import Batches
from dlcli.data.images.dataset import assemble_images
from dlcli.data.images.decoding import ImagePolicy
from dlcli.data.images.samples import ImageAnnotation
from dlcli.data.listing import Listing

SIZE = (6, 8)
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (10, *SIZE, 1), np.uint8)


def test_items_and_arrays_are_selected_by_position() -> None:
    items = Items(("a", "b", "c")).take(np.array([2, 0]))
    assert items.values == ("c", "a")
    array = Array(np.arange(6).reshape(3, 2)).take(np.array([1]))
    assert array.values.tolist() == [[2, 3]]
    assert (len(items), len(array)) == (2, 1)
    assert not items.columns()


def test_annotations_are_found_by_name_and_class() -> None:
    annotations = {"texts": Items(("a",))}
    found = find(annotations, "texts", Items)
    assert found is not None
    assert found.values == ("a",)
    assert find(annotations, "targets", Array) is None
    with pytest.raises(AssertionError):
        find(annotations, "texts", Array)


# A new kind: a mask for each image ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Masks(ImageAnnotation):
    """A mask for each image, uint8 ``[n, height, width]``."""

    values: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.values)

    def take(self, index: NDArray[np.int64]) -> "Masks":
        return Masks(self.values[index])

    def columns(self) -> Mapping[str, Sequence[str]]:
        return {"mask": [str(int(mask.sum())) for mask in self.values]}

    def target(self, policy: ImagePolicy | None) -> "MaskTarget":
        return MaskTarget(self.values)


@dataclass(frozen=True)
class MaskTarget(Target):
    """A mask that is warped with its image."""

    values: NDArray[np.uint8]

    def take(self, index: NDArray[np.int64]) -> "MaskTarget":
        return MaskTarget(self.values[index])

    def warped(self, maps: NDArray[np.float64], *, height: int, width: int) -> "MaskTarget":
        assert maps.shape == (len(self.values), 3, 3)
        return self

    def loaders(self) -> Mapping[str, Loader]:
        return {"stored_mask": Loader(lambda index: self.values[index], self.values.shape[1:], "uint8")}

    def batch(self, element: Mapping[str, Any]) -> Mapping[str, Any]:
        mask = element["stored_mask"][..., None]
        if "maps" in element:
            mask = warp(mask, element["maps"], fill_mode="reflect", cval=0.0)
        return {"mask": tf.cast(mask, tf.float32)}


def test_a_new_annotation_follows_its_samples_into_splits_and_the_fingerprint(
    common: dict[str, Any],
) -> None:
    def dataset(masks: NDArray[np.uint8]) -> Any:
        names = tuple(map(str, range(len(PIXELS))))
        labels = (np.arange(len(PIXELS)) % 2).astype(np.int32)
        listing = Listing(names=names, labels=labels, arrays=PIXELS, annotations={"masks": Masks(masks)})
        return assemble_images({"train": listing}, ("a", "b"), source="test", common=common)

    masks = RNG.integers(0, 2, (10, *SIZE), np.uint8)
    made = dataset(masks)
    assert len(made.splits) > 1
    for samples in made.splits.values():
        found = find(samples.annotations, "masks", Masks)
        assert found is not None
        np.testing.assert_array_equal(found.values, masks[[int(name) for name in samples.names]])
        assert [type(target) for target in samples.targets()] == [MaskTarget]
    rows = made.split_rows()
    assert [row["mask"] for row in rows] == [str(masks[int(row["file"])].sum()) for row in rows]
    assert dataset(masks).fingerprint() == made.fingerprint()
    assert dataset(1 - masks).fingerprint() != made.fingerprint()


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_new_target_follows_augmentation_into_batches(everything: Augmentation, in_memory: bool) -> None:
    moving = Augmentation(
        **{
            **vars(everything),
            "brightness_range": None,
            "channel_shift_range": 0.0,
            "color_jitter": None,
            "random_erasing": None,
            "rand_augment": None,
        }
    )
    data = Batches(
        labels=np.zeros(len(PIXELS), np.int32),
        pixels=PIXELS if in_memory else None,
        load=lambda index: PIXELS[index],
        shape=(*SIZE, 1),
        batch_size=4,
        seed=1,
        augmentation=moving,
        targets=(MaskTarget(PIXELS[..., 0]),),
    )
    source = data.source(0)
    compiled = tf.function(lambda step: data.assemble(data.element(source, step)), autograph=False)
    for step in range(data.num_steps):
        batch = compiled(tf.constant(step, tf.int64))
        np.testing.assert_allclose(batch["y"]["mask"], batch["x"], atol=1e-3)
