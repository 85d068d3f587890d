"""Plots of objects: their boxes and classes on images, and their counts and sizes."""

import numpy as np
import pytest
from pixels import BACKGROUND, STRANGE_NAMES, plain, read, where  # type: ignore[import-not-found]

from dlcli.report.plots import objects as plots
from dlcli.report.plots.figure import BLUE, GREEN, VERMILION

BOX = (0.25, 0.25, 0.75, 0.75)
NONE = (0.0, 0.0, 0.0, 0.0)


def grid(boxes: list[tuple[float, ...]], labels: list[int], names: tuple[str, ...] = ("cat", "dog")) -> np.ndarray:
    png = plots.object_grid(plain(1), np.array([boxes]), np.array([labels]), names, title="What the model sees")
    pixels: np.ndarray = read(png)
    return pixels


def test_each_box_has_the_color_of_its_class() -> None:
    both = grid([BOX, (0.1, 0.5, 0.9, 0.9)], [0, 1])
    assert where(both, BLUE) is not None
    assert where(both, VERMILION) is not None
    assert where(grid([BOX], [0]), VERMILION) is None


def test_a_box_is_where_it_should_be() -> None:
    pixels = grid([BOX], [1])
    image, box = where(pixels, BACKGROUND), where(pixels, VERMILION)
    left, top, right, bottom = image
    wide, high = right - left, bottom - top
    expected = (left + wide / 4, top + high / 4, right - wide / 4, bottom - high / 4)
    np.testing.assert_allclose((box[0], box[2], box[3]), (expected[0], expected[2], expected[3]), atol=4)
    assert box[1] <= expected[1]  # the label is above


def test_padding_draws_nothing() -> None:
    np.testing.assert_array_equal(grid([BOX, NONE], [0, -1]), grid([BOX], [0]))
    negative = grid([NONE], [-1])
    assert where(negative, BLUE) is None
    assert (negative != grid([BOX], [0])).any()


@pytest.mark.parametrize("name", STRANGE_NAMES)
def test_any_class_can_be_written(name: str) -> None:
    grid([BOX, (0.0, 0.0, 1.0, 1.0), (0.95, 0.0, 1.0, 0.05)], [0, 0, 0], (name,))


def test_more_images_than_fit_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "MAX_IMAGES", 2)
    many = plots.object_grid(plain(3), np.zeros((3, 2, 4)), np.full((3, 2), -1), ("a",), title="t")
    assert many == plots.object_grid(plain(2), np.zeros((2, 2, 4)), np.full((2, 2), -1), ("a",), title="t")


def test_a_preview_shows_the_boxes_of_each_version() -> None:
    columns = [("original", plain(2), ["a", "b"]), ("epoch 1", plain(2), ["flip", "no flip"])]
    boxes = [np.array([[BOX], [NONE]]), np.array([[NONE], [NONE]])]
    labels = [np.array([[0], [-1]]), np.array([[-1], [-1]])]
    pixels = read(plots.object_preview(columns, boxes, labels, ("cat",)))
    found = where(pixels, BLUE)
    assert found is not None
    assert found[2] < pixels.shape[1] / 2
    assert found[3] < pixels.shape[0] / 2


@pytest.mark.parametrize("channels", [1, 3])
def test_masks_tint_their_objects_in_the_colors_of_the_boxes(channels: int) -> None:
    images = np.full((2, 4, 6, channels), 100.0)
    masks = np.zeros((2, 2, 4, 6), np.uint8)
    masks[0, 0, :2] = masks[1, 1, 3] = 1
    tinted = plots.with_masks(images, masks, np.array([[0, -1], [-1, -1]]))
    assert tinted.shape == (2, 4, 6, 3)
    blue = np.array([0x00, 0x72, 0xB2])  # BLUE
    np.testing.assert_allclose(tinted[0, 0, 0], 100 * 0.55 + 0.45 * blue)
    assert (tinted[0, 2:] == 100).all()
    assert (tinted[1] == 100).all()  # no object is there
    assert (images == 100).all()


@pytest.mark.parametrize("num_classes", [1, 40])
def test_counts_and_sizes(num_classes: int) -> None:
    rng = np.random.default_rng(0)
    splits = {"train": 50, "validation": 10, "test": 20}
    boxes = {split: rng.integers(0, number, num_classes) for split, number in splits.items()}
    per_image = {split: rng.integers(0, 40, number) for split, number in splits.items()}
    sizes = {split: rng.uniform(3, 500, number) for split, number in splits.items()}
    names = [f"class {i}" for i in range(num_classes)]
    pixels = read(plots.counts_and_sizes(names, boxes, per_image, sizes))
    for color in (BLUE, VERMILION, GREEN):
        assert where(pixels, color) is not None


@pytest.mark.parametrize("sizes", [[], [0.2], [40.0, 40.0]])
def test_few_objects_can_be_plotted(sizes: list[float]) -> None:
    counted = {"train": np.array([len(sizes)])}
    read(plots.counts_and_sizes(["猫"], counted, {"train": np.array([len(sizes), 0])}, {"train": np.array(sizes)}))
