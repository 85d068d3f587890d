"""Tiles: drawn by seed, epoch and sample; a grid that covers; seams at which tiles and the whole image agree."""

from collections.abc import Iterator

import numpy as np
import pytest
import tensorflow as tf

from dlcli.data.images.tiles import (
    Grid,
    TileReader,
    blend,
    center_windows,
    cut,
    cut_counted,
    draw_tiling,
    draw_windows,
    grid_tiling,
    make_grid,
    make_grids,
)


def test_windows_are_drawn_by_seed_epoch_and_sample() -> None:
    sizes = np.array([[100, 200]] * 500)
    first = draw_windows(sizes, (64, 48), seed=1, epoch=0)
    assert np.array_equal(first, draw_windows(sizes, (64, 48), seed=1, epoch=0))
    assert np.array_equal(first[:7], draw_windows(sizes[:7], (64, 48), seed=1, epoch=0))
    assert not np.array_equal(first, draw_windows(sizes, (64, 48), seed=1, epoch=1))
    assert not np.array_equal(first, draw_windows(sizes, (64, 48), seed=2, epoch=0))
    assert first.min(axis=0)[:2].tolist() == [0, 0]
    assert first.max(axis=0)[:2].tolist() == [36, 152]
    assert np.array_equal(first[:, 2:], np.concatenate([first[:, :2], first[:, :2] + [64, 48]], axis=1))


def test_several_tiles_are_drawn_from_an_image_in_every_epoch_or_once() -> None:
    sizes = np.array([[100, 200], [300, 80]])
    tiling = draw_tiling(sizes, (64, 64), per_image=3, seed=1)
    assert tiling.images.tolist() == [0, 0, 0, 1, 1, 1]
    assert len({tuple(window) for window in tiling.windows(0).tolist()}) == 6
    assert not np.array_equal(tiling.windows(0), tiling.windows(1))
    fixed = draw_tiling(sizes, (64, 64), per_image=3, seed=1, is_fixed=True)
    assert np.array_equal(fixed.windows(5), tiling.windows(0))


def test_a_tile_of_a_small_image_is_filled_up() -> None:
    assert draw_windows(np.array([[3, 4]]), (8, 8), seed=0, epoch=0)[0, :2].tolist() == [0, 0]
    assert center_windows(np.array([[3, 14]]), (8, 8))[0, :2].tolist() == [0, 3]
    mask = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
    assert cut(mask, (1, 1), (2, 3), fill=255).tolist() == [[5, 6, 255], [255, 255, 255]]
    image = np.ones((4, 4, 3), np.uint8)
    assert cut(image, (0, 0), (2, 2), fill=0).shape == (2, 2, 3)
    counted = cut_counted(np.ones((4, 4), np.uint8), np.array([1, 0, 2, 1, 3, 3]), (3, 4), fill=9)
    assert counted.tolist() == [[9, 9, 9, 9], [9, 1, 1, 9], [9, 9, 9, 9]]


def test_an_image_is_read_once_for_its_tiles() -> None:
    images = [np.random.default_rng(i).integers(0, 255, (20 + i, 30, 3), np.uint8) for i in range(3)]
    read: list[int] = []

    def read_image(position: int) -> np.ndarray:
        read.append(position)
        return images[position]

    reader = TileReader(read_image, (8, 8, 3), fill=0)
    for index, corners in (
        ([0, 0, 1], [(0, 0), (18, 25), (3, 2)]),
        ([1, 1, 2], [(1, 1), (2, 2), (3, 3)]),
        ([2], [(0, 4)]),
    ):
        windows = np.array([(*corner, *corner, 0, 0) for corner in corners])
        expected = [cut(images[i], corner, (8, 8), fill=0) for i, corner in zip(index, corners, strict=True)]
        np.testing.assert_array_equal(reader.load(np.array(index), windows), expected)
    assert sorted(read) == [0, 1, 2]


def blended(grid: Grid, outputs: np.ndarray) -> np.ndarray:
    """All bands together."""
    return np.concatenate(list(blend(grid, outputs)))


def test_one_tile_covers_an_image_that_is_not_larger() -> None:
    for size in (40, 64):
        grid = make_grid(size, size, (64, 64), 16)
        assert grid.windows.tolist() == [[0, 0, 0, 0, size, size]]
        assert np.array_equal(grid.weights(0), np.ones((64, 64, 1)))
        output = np.random.default_rng(0).random((1, 64, 64, 2)).astype(np.float32)
        assert np.array_equal(blended(grid, output), output[0, :size, :size])


def test_corners_are_multiples_and_the_last_tiles_reach_the_edge() -> None:
    grid = make_grid(100, 200, (64, 96), 32, multiple=32)
    assert grid.tops == (0, 32, 64)
    assert grid.lefts == (0, 64, 128)
    assert len(grid) == 9
    assert grid.windows[4, :2].tolist() == [32, 64]
    assert make_grid(100, 200, (64, 96), 32, multiple=1).tops == (0, 18, 36)


@pytest.mark.parametrize("size", [(64, 64), (65, 300), (500, 333), (30, 1000)])
def test_each_pixel_of_an_image_counts_in_one_tile(size: tuple[int, int]) -> None:
    grids = make_grids(np.array([size, (64, 90)]), (64, 64), 20)
    tiling = grid_tiling(grids)
    assert len(tiling.images) == len(grids[0]) + 2
    times = np.zeros(size, int)
    for top, left, *part in tiling.windows(0)[tiling.images == 0].tolist():
        times[part[0] : part[2], part[1] : part[3]] += 1
        assert 0 <= part[0] - top < part[2] - top <= 64
        assert 0 <= part[1] - left < part[3] - left <= 64
    assert (times == 1).all()


def test_an_overlap_must_leave_a_step() -> None:
    with pytest.raises(ValueError, match="tiles of 64 pixels that overlap by 40 must leave a step of at least 32"):
        make_grid(100, 100, (64, 64), 40, multiple=32)


@pytest.mark.parametrize("overlap", [0, 1, 5, 8, 12, 15])
def test_weights_add_up_to_one(overlap: int) -> None:
    rng = np.random.default_rng(overlap)
    for height, width in rng.integers(1, 60, (10, 2)).tolist():
        grid = make_grid(height, width, (16, 16), overlap, multiple=1)
        result = blended(grid, np.ones((len(grid), 16, 16, 1), np.float32))
        assert result.shape == (height, width, 1)
        assert np.allclose(result, 1, atol=1e-5)


def test_bands_are_those_of_all_weighted_tiles() -> None:
    grid = make_grid(150, 190, (64, 64), 20, multiple=8)
    outputs = np.random.default_rng(0).random((len(grid), 64, 64, 3)).astype(np.float32)
    whole = np.zeros((grid.tops[-1] + 64, grid.lefts[-1] + 64, 3))
    for position, (top, left) in enumerate(grid.windows[:, :2].tolist()):
        whole[top : top + 64, left : left + 64] += outputs[position] * grid.weights(position)
    bands = list(blend(grid, outputs))
    assert len(bands) == len(grid.tops)
    np.testing.assert_allclose(np.concatenate(bands), whole[:150, :190], atol=1e-6)


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

    def outputs() -> Iterator[np.ndarray]:
        for top, left in grid.windows[:, :2].tolist():
            yield network(cut(image, (top, left), (64, 64), fill=0)[None]).numpy()[0]

    result = np.concatenate(list(blend(grid, outputs())))
    inside = tuple(slice(0, side if side >= 64 else side - 8) for side in size)  # a padded tile sees what is no image
    assert np.abs(result - whole)[inside].max() < 1e-5


def test_without_overlap_seams_differ() -> None:
    """What the overlap is for: at seams a tile does not see what the whole image shows."""
    image = np.random.default_rng(1).random((128, 128, 3)).astype(np.float32)
    grid = make_grid(128, 128, (64, 64), 0, multiple=8)
    tiles = np.stack([cut(image, (top, left), (64, 64), fill=0) for top, left in grid.windows[:, :2].tolist()])
    difference = np.abs(blended(grid, network(tiles).numpy()) - network(image[None]).numpy()[0]).max(axis=2)
    assert difference[:, 56:72].max() > 0.01
    assert difference[8:56, 8:56].max() < 1e-5
