"""Tiles: drawn by seed, epoch and sample; a grid that covers; seams at which tiles and the whole image agree."""

import numpy as np
import pytest
import tensorflow as tf

from dlcli.data.images.tiles import Blending, cut, draw_corners, make_grid


def test_corners_are_drawn_by_seed_epoch_and_sample() -> None:
    sizes = np.array([[100, 200]] * 500)
    first = draw_corners(sizes, (64, 48), seed=1, epoch=0)
    assert np.array_equal(first, draw_corners(sizes, (64, 48), seed=1, epoch=0))
    assert np.array_equal(first[:7], draw_corners(sizes[:7], (64, 48), seed=1, epoch=0))
    assert not np.array_equal(first, draw_corners(sizes, (64, 48), seed=1, epoch=1))
    assert not np.array_equal(first, draw_corners(sizes, (64, 48), seed=2, epoch=0))
    assert first.min(axis=0).tolist() == [0, 0]
    assert first.max(axis=0).tolist() == [36, 152]


def test_a_tile_of_a_small_image_is_filled_up() -> None:
    assert draw_corners(np.array([[3, 4]]), (8, 8), seed=0, epoch=0).tolist() == [[0, 0]]
    mask = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
    assert cut(mask, (1, 1), (2, 3), fill=255).tolist() == [[5, 6, 255], [255, 255, 255]]
    image = np.ones((4, 4, 3), np.uint8)
    assert cut(image, (0, 0), (2, 2), fill=0).shape == (2, 2, 3)


def test_one_tile_covers_an_image_that_is_not_larger() -> None:
    for size in (40, 64):
        grid = make_grid(size, size, (64, 64), 16)
        assert grid.corners.tolist() == [[0, 0]]
        assert np.array_equal(grid.weights(0), np.ones((64, 64, 1)))


def test_corners_are_multiples_and_the_last_tiles_reach_the_edge() -> None:
    grid = make_grid(100, 200, (64, 96), 32, multiple=32)
    assert grid.tops == (0, 32, 64)
    assert grid.lefts == (0, 64, 128)
    assert len(grid) == 9
    assert grid.corners[4].tolist() == [32, 64]
    assert make_grid(100, 200, (64, 96), 32, multiple=1).tops == (0, 32, 36)


def test_an_overlap_must_leave_a_step() -> None:
    with pytest.raises(ValueError, match="tiles of 64 pixels that overlap by 40 must leave a step of at least 32"):
        make_grid(100, 100, (64, 64), 40, multiple=32)


@pytest.mark.parametrize("overlap", [0, 1, 5, 8, 12, 15])
def test_weights_add_up_to_one(overlap: int) -> None:
    rng = np.random.default_rng(overlap)
    for height, width in rng.integers(1, 60, (10, 2)).tolist():
        grid = make_grid(height, width, (16, 16), overlap, multiple=1)
        blending = Blending(grid, 1)
        blending.add(np.arange(len(grid)), np.ones((len(grid), 16, 16, 1), np.float32))
        assert blending.result().shape == (height, width, 1)
        assert np.allclose(blending.result(), 1, atol=1e-5)


def network(images: tf.Tensor) -> tf.Tensor:
    """Two strides of 2 with convolutions between, brought back to the input's size: [b, h, w, 5]."""
    rng = np.random.default_rng(0)

    def filters(*shape: int) -> tf.Tensor:
        return tf.constant(rng.normal(0, 0.3, shape), tf.float32)

    x = tf.nn.relu(tf.nn.conv2d(images, filters(3, 3, 3, 8), 2, "SAME"))
    x = tf.nn.relu(tf.nn.conv2d(x, filters(3, 3, 8, 8), 2, "SAME"))
    x = tf.repeat(tf.repeat(x, 4, axis=1), 4, axis=2)
    return tf.nn.softmax(tf.nn.conv2d(x, filters(3, 3, 8, 5), 1, "SAME"))


@pytest.mark.parametrize("size", [(96, 160), (160, 64), (48, 48)])
def test_tiles_and_the_whole_image_agree(size: tuple[int, int]) -> None:
    image = np.random.default_rng(1).random((*size, 3)).astype(np.float32)
    whole = network(image[None]).numpy()[0]
    grid = make_grid(*size, (64, 64), 32, multiple=8)
    tiles = np.stack([cut(image, (top, left), (64, 64), fill=0) for top, left in grid.corners.tolist()])
    blending = Blending(grid, 5)
    for start in range(0, len(grid), 3):  # in batches
        index = np.arange(start, min(start + 3, len(grid)))
        blending.add(index, network(tiles[index]).numpy())
    inside = tuple(slice(0, side if side >= 64 else side - 8) for side in size)  # a padded tile sees what is no image
    assert np.abs(blending.result() - whole)[inside].max() < 1e-5


def test_without_overlap_seams_differ() -> None:
    """What the overlap is for: at seams a tile does not see what the whole image shows."""
    image = np.random.default_rng(1).random((128, 128, 3)).astype(np.float32)
    grid = make_grid(128, 128, (64, 64), 0, multiple=8)
    blending = Blending(grid, 5)
    blending.add(
        np.arange(4),
        network(np.stack([cut(image, (t, c), (64, 64), fill=0) for t, c in grid.corners.tolist()])).numpy(),
    )
    difference = np.abs(blending.result() - network(image[None]).numpy()[0]).max(axis=2)
    assert difference[:, 56:72].max() > 0.01
    assert difference[8:56, 8:56].max() < 1e-5
