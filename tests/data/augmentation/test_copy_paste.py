"""Copy-paste: pixels, masks and boxes as a NumPy loop pastes them; draws are a function of seed, epoch and sample."""

from typing import Any

import numpy as np
import tensorflow as tf

from dlcli.data.augmentation.copy_paste import CopyPaste, paste

HEIGHT, WIDTH, SLOTS, NUM = 20, 30, 4, 12
MIN_VISIBLE = 0.8


def entries_of(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Rectangles and crosses in some of the slots, with their boxes; one object has an empty mask."""
    masks = np.zeros((NUM, SLOTS, HEIGHT, WIDTH), np.uint8)
    boxes, labels = np.zeros((NUM, SLOTS, 4), np.float32), np.full((NUM, SLOTS), -1, np.int32)
    for image in range(NUM):
        for slot in range(image % (SLOTS + 1)):
            left, top = rng.integers(0, [WIDTH - 10, HEIGHT - 10])
            wide, high = rng.integers(4, 11, 2)
            if slot % 2:
                masks[image, slot, top : top + high, left : left + wide] = 1
            else:
                masks[image, slot, top + high // 2, left : left + wide] = 1
                masks[image, slot, top : top + high, left + wide // 2] = 1
            boxes[image, slot] = np.array([left, top, left + wide, top + high]) / [WIDTH, HEIGHT, WIDTH, HEIGHT]
            labels[image, slot] = rng.integers(0, 3)
    masks[3, 0] = 0
    return {"boxes": boxes, "box_class": labels, "masks": masks}


def pasted_by_hand(
    image: np.ndarray, own: dict[str, Any], other: np.ndarray, of_other: dict[str, Any], is_chosen: np.ndarray
) -> tuple[np.ndarray, list[tuple[int, np.ndarray, np.ndarray]]]:
    """One image, and the class, box and mask of each of its objects."""
    image, objects, covered = image.copy(), [], np.zeros((HEIGHT, WIDTH), bool)
    pasted = []
    for slot in range(SLOTS):
        if is_chosen[slot] and of_other["box_class"][slot] >= 0:
            mask = of_other["masks"][slot]
            covered |= mask > 0
            pasted.append((int(of_other["box_class"][slot]), of_other["boxes"][slot], mask))
    image[covered] = other[covered]
    for slot in range(SLOTS):
        if own["box_class"][slot] < 0:
            continue
        mask, box = own["masks"][slot], own["boxes"][slot]
        left = np.where(covered, 0, mask)
        if left.sum() < mask.sum():
            if left.sum() == 0 or left.sum() < MIN_VISIBLE * mask.sum():
                continue
            rows, columns = np.nonzero(left)
            box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
            box = box / [WIDTH, HEIGHT, WIDTH, HEIGHT]
        objects.append((int(own["box_class"][slot]), box, left))
    return image, objects + pasted


def test_images_boxes_and_masks_are_those_of_a_loop() -> None:
    rng = np.random.default_rng(0)
    own, of_others = entries_of(rng), entries_of(rng)
    of_others = {name: values[::-1] for name, values in of_others.items()}
    images, others = rng.uniform(0, 255, (2, NUM, HEIGHT, WIDTH, 3)).astype(np.float32)
    is_chosen = rng.random((NUM, SLOTS)) < 0.5
    result, found = paste(
        *(tf.constant(images), tf.nest.map_structure(tf.constant, own), tf.constant(others)),
        *(tf.nest.map_structure(tf.constant, of_others), tf.constant(is_chosen)),
        min_visible=MIN_VISIBLE,
    )
    num_dropped = num_cut = 0
    for i in range(NUM):
        one, other = ({name: values[i] for name, values in each.items()} for each in (own, of_others))
        expected, objects = pasted_by_hand(images[i], one, others[i], other, is_chosen[i])
        np.testing.assert_array_equal(result[i], expected)
        labels = found["box_class"][i].numpy()
        slots = np.flatnonzero(labels >= 0)
        assert labels[slots].tolist() == [label for label, _, _ in objects]
        for slot, (_, box, mask) in zip(slots, objects, strict=True):
            np.testing.assert_allclose(found["boxes"][i, slot], box, atol=1e-6)
            np.testing.assert_array_equal(found["masks"][i, slot], mask)
        empty = labels < 0
        assert not found["boxes"].numpy()[i, empty].any()
        assert not found["masks"].numpy()[i, empty].any()
        num_own = (one["box_class"] >= 0).sum()
        num_dropped += num_own - (labels[:SLOTS] >= 0).sum()
        num_cut += any(
            (mask < original).any() for mask, original in zip(found["masks"][i].numpy(), one["masks"], strict=False)
        )
    assert num_dropped > 0
    assert num_cut > 0
    assert found["boxes"].shape == (NUM, 2 * SLOTS, 4)


def test_draws_depend_on_seed_epoch_and_sample_alone() -> None:
    draw = CopyPaste(0.5).draw
    one = draw(seed=0, epoch=1, num=400, slots=5)
    same = draw(seed=0, epoch=1, num=400, slots=0)
    assert np.array_equal(one.partners, same.partners)
    assert not np.array_equal(one.partners, draw(seed=0, epoch=2, num=400, slots=5).partners)
    assert not np.array_equal(one.partners, draw(seed=1, epoch=1, num=400, slots=5).partners)
    is_own = one.partners == np.arange(400)
    assert 0.4 < is_own.mean() < 0.6
    assert 0.4 < one.is_chosen[~is_own].mean() < 0.6
    assert not CopyPaste(0.0).draw(seed=0, epoch=1, num=400, slots=5).is_chosen.any()
