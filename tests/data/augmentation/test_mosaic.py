"""Mosaic: images and boxes as a plain NumPy loop composes them; draws are a function of seed, epoch and sample."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from dlcli.data.augmentation.augmentation import Augmentation
from dlcli.data.augmentation.mosaic import MARGIN, Mosaic, Parts, compose
from dlcli.data.boxes.object_targets import ObjectsTarget
from dlcli.data.images.batches import Batches
from dlcli.data.images.tiles import draw_tiling

HEIGHT, WIDTH = 24, 32
SIZE = {"height": HEIGHT, "width": WIDTH}
NUM = 13
RNG = np.random.default_rng(5)
PIXELS = RNG.integers(0, 256, (NUM, HEIGHT, WIDTH, 3), np.uint8)
COUNTS = RNG.integers(0, 4, NUM)


def boxes_of_samples() -> ObjectsTarget:
    """Up to three boxes in each sample; the class of each is its number among all."""
    num = int(COUNTS.sum())
    corners = np.sort(RNG.random((num, 2, 2)), axis=1).reshape(-1, 4)
    return ObjectsTarget(
        boxes=corners.astype(np.float32),
        labels=np.arange(num, dtype=np.int32),
        visible=np.ones(num, np.float32),
        positions=np.concatenate([np.arange(count) for count in COUNTS]).astype(np.int32),
        offsets=np.concatenate([[0], np.cumsum(COUNTS)]),
        slots=3,
        min_visible=0.3,
    )


BOXES = boxes_of_samples()


def draw(probability: float = 0.6, *, num: int = NUM, seed: int = 1, epoch: int = 2) -> Parts:
    return Mosaic(probability).draw(seed=seed, epoch=epoch, num=num, **SIZE)


def make(*, in_memory: bool = True, probability: float = 0.6, size: int = 4, **options: Any) -> Batches:
    known: dict[str, Any] = {"targets": [BOXES], "seed": 1, **options}
    return Batches(
        labels=np.full(NUM, -1, np.int32),
        pixels=PIXELS if in_memory else None,
        load=lambda index: PIXELS[index],
        shape=(HEIGHT, WIDTH, 3),
        batch_size=size,
        mosaic=Mosaic(probability),
        **known,
    )


def read(data: Batches, epoch: int, first_step: int = 0) -> dict[int, dict[str, Any]]:
    """What each sample of an epoch is in its batch."""
    compiled = tf.function(lambda source, step: data.assemble(data.element(source, step)), autograph=False)
    source = data.source(epoch, first_step)
    found = {}
    for step in range(first_step, data.num_steps):
        batch = compiled(source, tf.constant(step, tf.int64))
        for row, index in enumerate(batch["index"].numpy().tolist()):
            found[index] = {"x": batch["x"][row].numpy(), **{k: v[row].numpy() for k, v in batch["y"].items()}}
    return found


def composed_by_hand(parts: Parts, sample: int, pixels: np.ndarray) -> np.ndarray:
    """The image of a sample, pixel by pixel."""
    result = np.zeros((HEIGHT, WIDTH, 3))
    for source, (left, top, right, bottom), of_part in zip(
        parts.sources[sample], parts.cells[sample].astype(int), parts.maps[sample], strict=True
    ):
        for row in range(top, bottom):
            for column in range(left, right):
                x, y, _ = of_part @ [column, row, 1]
                result[row, column] = bilinear(pixels[source].astype(np.float64), x, y)
    return result


def bilinear(image: np.ndarray, x: float, y: float) -> np.ndarray:
    left, top = int(np.floor(x)), int(np.floor(y))
    u, v = x - left, y - top

    def at(row: int, column: int) -> np.ndarray:
        return np.asarray(image[np.clip(row, 0, HEIGHT - 1), np.clip(column, 0, WIDTH - 1)])

    upper = at(top, left) * (1 - u) + at(top, left + 1) * u
    return np.asarray(upper * (1 - v) + (at(top + 1, left) * (1 - u) + at(top + 1, left + 1) * u) * v)


def boxes_by_hand(parts: Parts, sample: int) -> list[tuple[int, list[float]]]:
    """The class and the box in pixels of each object of a sample, in a loop over its parts."""
    found = []
    for source, cell, of_part in zip(parts.sources[sample], parts.cells[sample], parts.maps[sample], strict=True):
        scale, x0, y0 = of_part[0, 0], of_part[0, 2], of_part[1, 2]
        for i in range(BOXES.offsets[source], BOXES.offsets[source + 1]):
            left, top, right, bottom = BOXES.boxes[i].astype(np.float64) * [WIDTH, HEIGHT, WIDTH, HEIGHT]
            x1, x2 = ((side - 0.5 - x0) / scale + 0.5 for side in (left, right))
            y1, y2 = ((side - 0.5 - y0) / scale + 0.5 for side in (top, bottom))
            inside = [max(x1, cell[0]), max(y1, cell[1]), min(x2, cell[2]), min(y2, cell[3])]
            wide, high = inside[2] - inside[0], inside[3] - inside[1]
            if wide > 0 and high > 0 and wide * high >= 0.3 * (x2 - x1) * (y2 - y1):
                found.append((int(BOXES.labels[i]), inside))
    return found


def test_parts_lie_around_a_point_and_show_their_images_at_scales_that_fill_them() -> None:
    parts = draw(0.5, num=500)
    composed = parts.is_composed
    assert 0.4 < composed.mean() < 0.6
    assert (parts.sources[:, 0] == np.arange(500)).all()
    assert (parts.sources[~composed] == parts.sources[~composed][:, :1]).all()
    assert len(np.unique(parts.sources[composed])) > 250
    sides = parts.cells[..., 2:] - parts.cells[..., :2]
    assert np.allclose(sides.prod(axis=-1).sum(axis=1), HEIGHT * WIDTH)
    assert (parts.cells[composed, 0, 2] >= WIDTH * MARGIN).all()
    assert (parts.cells[composed, 0, 3] <= HEIGHT * (1 - MARGIN)).all()
    scale = 1 / parts.maps[composed][:, :, 0, 0]
    assert scale.max() <= 1
    shown = sides[composed] / scale[..., None]
    assert (shown <= [WIDTH + 1e-9, HEIGHT + 1e-9]).all()
    corner = np.einsum("npij,npj->npi", parts.maps[composed], np.insert(parts.cells[composed][..., :2] - 0.5, 2, 1, -1))
    assert (corner[..., :2] >= -0.5 - 1e-9).all()
    assert (corner[..., :2] + shown <= [WIDTH - 0.5 + 1e-9, HEIGHT - 0.5 + 1e-9]).all()


def test_draws_depend_on_seed_epoch_and_sample() -> None:
    one, same = draw(), draw()
    assert np.array_equal(one.maps, same.maps)
    assert np.array_equal(one.sources, same.sources)
    for other in (draw(seed=2), draw(epoch=3)):
        assert not np.array_equal(one.maps, other.maps)


def test_images_are_those_of_a_loop_over_pixels() -> None:
    parts = draw()
    assert parts.is_composed.any()
    tensors = {name: values for name, values in parts.to_tensors().items() if name != "sources"}
    images = compose(tf.constant(PIXELS[parts.sources]), tensors).numpy()
    for sample in range(NUM):
        if parts.is_composed[sample]:
            np.testing.assert_allclose(images[sample], composed_by_hand(parts, sample, PIXELS), atol=1e-3)
        else:
            np.testing.assert_array_equal(images[sample], PIXELS[sample])


def test_boxes_are_those_of_a_loop_over_parts() -> None:
    parts = draw(1.0)
    target = BOXES.composed(parts, **SIZE)
    assert target.slots == 12
    num_kept = 0
    for sample in range(NUM):
        of_sample = slice(target.offsets[sample], target.offsets[sample + 1])
        expected = boxes_by_hand(parts, sample)
        assert target.labels[of_sample].tolist() == [label for label, _ in expected]
        in_pixels = target.boxes[of_sample] * [WIDTH, HEIGHT, WIDTH, HEIGHT]
        np.testing.assert_allclose(in_pixels, np.reshape([box for _, box in expected], (-1, 4)), atol=1e-4)
        num_kept += len(expected)
    assert num_kept > 10
    assert 0 < target.num_dropped < COUNTS[parts.sources].sum() - num_kept  # those that are wholly outside do not count


def test_samples_that_are_not_composed_keep_their_boxes() -> None:
    target = BOXES.composed(draw(0.0), **SIZE)
    np.testing.assert_allclose(target.boxes, BOXES.boxes, atol=1e-6)
    assert target.labels.tolist() == BOXES.labels.tolist()
    assert target.offsets.tolist() == BOXES.offsets.tolist()
    assert target.num_dropped == 0


def test_a_sample_is_the_same_from_memory_and_files_in_batches_of_any_size_and_from_any_step(
    everything: Augmentation,
) -> None:
    turned = replace(everything, rand_augment=None, color_jitter=None, random_erasing=None)  # which compile for long
    data = make(augmentation=turned)
    whole = read(data, 3)
    assert sorted(whole) == list(range(NUM))
    other = read(make(in_memory=False, size=5, augmentation=turned), 3, first_step=1)
    assert len(other) == NUM - 5
    for index, sample in other.items():
        assert sample["boxes"].shape == (12, 4)
        for name, values in sample.items():
            np.testing.assert_allclose(values, whole[index][name], atol=1e-3 if name == "x" else 0)
    at = data.at(3, np.array([7, 2]))
    np.testing.assert_allclose(at["x"], [whole[7]["x"], whole[2]["x"]], atol=1e-3)
    np.testing.assert_array_equal(at["y"]["boxes"], [whole[7]["boxes"], whole[2]["boxes"]])


def test_tiles_are_composed_of_tiles() -> None:
    tiling = draw_tiling(np.array([[60, 80]] * NUM), (HEIGHT, WIDTH), per_image=1, seed=0)
    seen: list[np.ndarray] = []

    def load(index: np.ndarray, windows: np.ndarray) -> np.ndarray:
        seen.append(np.column_stack([index, windows]))
        return np.asarray(PIXELS[index])

    data = Batches(
        labels=np.full(NUM, -1, np.int32),
        pixels=None,
        load=load,
        shape=(HEIGHT, WIDTH, 3),
        batch_size=4,
        seed=1,
        mosaic=Mosaic(1.0),
        tiling=tiling,
    )
    batch = data.at(2, np.array([3]))
    parts = data.parts(2)
    assert parts is not None
    np.testing.assert_allclose(batch["x"][0], composed_by_hand(parts, 3, PIXELS), atol=1e-3)
    assert {tuple(row) for row in seen[0]} == {(i, *tiling.windows(2)[i]) for i in parts.sources[3]}


def test_mosaic_needs_a_seed_and_targets_that_can_be_composed() -> None:
    with pytest.raises(ValueError, match="need a seed"):
        make(seed=None)
    with pytest.raises(ValueError, match="cannot be balanced"):
        make(balanced=True)
