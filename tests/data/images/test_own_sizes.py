"""Batches of images of several sizes: each of one size, the same by seed and epoch, from any step."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from dlcli.data.augmentation.augmentation import Augmentation
from dlcli.data.images.batches import Batches
from dlcli.data.images.own_sizes import BatchesOfSizes, costliest_size, describe_sizes

SIZES = np.array([(12, 10), (9, 14), (12, 10), (8, 8), (12, 10), (9, 14), (12, 10), (12, 10)])
IMAGES = [np.random.default_rng(i).integers(0, 256, (*size, 3), np.uint8) for i, size in enumerate(SIZES)]


def test_batches_have_one_size_and_hold_each_image_once() -> None:
    batches = BatchesOfSizes(SIZES, 2)
    assert batches.number == 3 + 1 + 1  # five, two and one image
    for seed, epoch in ((None, 0), (1, 0), (1, 1), (2, 0)):
        drawn = batches.draw(seed, epoch)
        assert len(drawn) == batches.number
        assert all(len({tuple(SIZES[i]) for i in batch}) == 1 for batch in drawn)
        assert sorted(np.concatenate(drawn)) == list(range(len(SIZES)))
    assert [batch.tolist() for batch in batches.draw(None, 3)] == [[3], [1, 5], [0, 2], [4, 6], [7]]


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    sizes = SIZES[np.arange(64) % len(SIZES)]

    def drawn(seed: int, epoch: int) -> list[list[int]]:
        return [batch.tolist() for batch in BatchesOfSizes(sizes, 3).draw(seed, epoch)]

    assert drawn(1, 2) == drawn(1, 2)
    assert drawn(1, 2) != drawn(1, 3)
    assert drawn(1, 2) != drawn(2, 2)
    heights = [sizes[batch[0]].tolist() for batch in drawn(1, 2)]
    assert heights != sorted(heights)  # the sizes are mixed over the epoch


def test_sizes_in_words_and_the_batch_with_the_most_pixels() -> None:
    assert describe_sizes(SIZES) == "3 sizes from 8x8 to 9x14"
    assert describe_sizes(SIZES[:1]) == "12x10"
    assert costliest_size(SIZES, 1) == ((9, 14), 1)
    assert costliest_size(SIZES, 4) == ((12, 10), 4)
    assert costliest_size(SIZES, 99) == ((12, 10), 5)


def make(**options: Any) -> Batches:
    return Batches(
        labels=np.zeros(len(SIZES), np.int32),
        pixels=None,
        load=lambda index: np.stack([IMAGES[i] for i in index]),
        shape=(12, 10, 3),
        batch_size=2,
        sizes=SIZES,
        **options,
    )


def read(data: Batches, epoch: int, first_step: int = 0) -> list[dict[str, Any]]:
    compiled = tf.function(lambda source, step: data.assemble(data.element(source, step)), autograph=False)
    source = data.source(epoch, first_step)
    steps = range(first_step, data.num_steps)
    return [tf.nest.map_structure(np.asarray, compiled(source, tf.constant(step, tf.int64))) for step in steps]


def test_batches_can_be_read_from_any_step_and_have_the_pixels_of_their_images() -> None:
    data = make(seed=5)
    whole = read(data, 1)
    assert np.concatenate([batch["index"] for batch in whole]).tolist() == data.order(1).tolist()
    for batch in whole:
        np.testing.assert_array_equal(batch["x"], np.stack([IMAGES[i] for i in batch["index"]]))
    for one, other in zip(whole[2:], read(data, 1, 2), strict=True):
        for name in ("x", "index", "draws"):
            np.testing.assert_array_equal(one[name], other[name])


def test_images_are_moved_as_alone_at_their_own_size(everything: Augmentation) -> None:
    size: dict[str, Any] = {"height": SIZES[:, 0], "width": SIZES[:, 1]}
    maps = everything.maps(everything.draw(seed=5, epoch=1, num=len(SIZES), **size), **size)
    assert maps is not None
    for i, (height, width) in enumerate(SIZES.tolist()):
        drawn = everything.draw(seed=5, epoch=1, num=len(SIZES), height=height, width=width)
        alone = everything.maps(drawn, height=height, width=width)
        assert alone is not None
        np.testing.assert_allclose(maps[i], alone[i])


@pytest.mark.slow
def test_each_image_is_augmented_as_alone_at_its_own_size(everything: Augmentation) -> None:
    found = {}
    for batch in read(make(seed=5, augmentation=everything), 1):
        found |= dict(zip(batch["index"].tolist(), batch["x"], strict=True))
    for i in (1, 3):  # each size is compiled once more
        size = {"height": int(SIZES[i, 0]), "width": int(SIZES[i, 1])}
        drawn = everything.draw(seed=5, epoch=1, num=len(SIZES), **size)
        row = {name: values[i : i + 1] for name, values in drawn.items()}
        expected = everything.apply(tf.constant(IMAGES[i][None]), everything.to_tensors(row, **size))
        np.testing.assert_allclose(found[i], expected[0], atol=0.02)


def test_images_of_several_sizes_are_not_mixed() -> None:
    with pytest.raises(ValueError, match="cannot be mixed"):
        make(seed=1, balanced=True)
