"""Masks in color: distinct colors, files whose values are classes, overlays that keep what is not painted."""

import io

import numpy as np
from PIL import Image

from dlcli.data.masks.coding import by_index
from dlcli.data.masks.stored import read_mask
from dlcli.report.plots.mask_overlay import (
    GRAY,
    IGNORED,
    class_colors,
    instances_png,
    mask_png,
    overlay,
    overlay_png,
    tinted,
)

MASK = np.array([[0, 1, 2], [3, IGNORED, 1]], np.uint8)


def test_colors_are_distinct() -> None:
    colors = class_colors(30).astype(int)
    assert colors[0].tolist() == [0, 0, 0]
    assert tuple(colors[IGNORED]) == GRAY
    used = colors[[*range(30), IGNORED]]
    distance = np.abs(used[:, None] - used[None]).sum(axis=2) + 1000 * np.eye(31, dtype=int)
    assert distance.min() > 40
    assert len({tuple(color) for color in class_colors(255).tolist()}) == 256


def test_a_class_keeps_its_color() -> None:
    assert np.array_equal(class_colors(5)[:5], class_colors(200)[:5])


def test_a_file_has_the_classes_as_values_and_colors_as_palette() -> None:
    data = mask_png(MASK, 4)
    assert np.array_equal(read_mask(data, by_index("abcd", ignore=[IGNORED])).mask, MASK)
    image = Image.open(io.BytesIO(data))
    assert image.mode == "P"
    assert np.array_equal(np.asarray(image.convert("RGB")), class_colors(4)[MASK])
    assert mask_png(MASK[:, ::-1], 4) != data
    assert mask_png(MASK, 4) == data


def test_overlays() -> None:
    image = np.full((16, 16, 3), 100, np.uint8)
    mask = np.zeros((16, 16), np.uint8)
    mask[:8, :8] = 1
    mask[8:, 8:] = IGNORED
    drawn = overlay(image, mask, 2)
    assert (drawn[mask == 0] == 100).all()
    assert (drawn[0, 0] == np.rint((100 + class_colors(2)[1].astype(float)) / 2)).all()
    assert len(np.unique(drawn[mask == IGNORED].reshape(-1, 3), axis=0)) == 2  # hatched
    gray = overlay(image[..., :1], mask, 2)
    assert np.array_equal(gray, drawn)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(overlay_png(image, mask, 2)))), drawn)
    assert np.array_equal(overlay(image, np.zeros((16, 16), np.uint8), 2, opacity=0.9), image)


def test_objects_are_numbered_and_the_first_is_above_the_others() -> None:
    first, second = np.zeros((2, 3, 4), np.uint8)
    first[:, :2] = 1
    second[1] = 1
    numbers = np.array(Image.open(io.BytesIO(instances_png([first, second], (3, 4)))))
    assert numbers.tolist() == [[1, 1, 0, 0], [1, 1, 2, 2], [1, 1, 0, 0]]
    assert not np.array(Image.open(io.BytesIO(instances_png([], (3, 4))))).any()


def test_more_objects_than_a_palette_has() -> None:
    masks = [(np.arange(400).reshape(20, 20) == i).astype(np.uint8) for i in range(300)]
    numbers = np.array(Image.open(io.BytesIO(instances_png(masks, (20, 20)))))
    assert numbers.max() == 300
    assert numbers[0, 9] == 10


def test_pixels_are_tinted_with_a_color() -> None:
    gray = np.full((2, 2, 1), 100, np.uint8)
    found = tinted(gray, np.array([[True, False], [False, False]]), "#ff0000", opacity=0.5)
    assert found[0, 0].tolist() == [177.5, 50, 50]
    assert found[1, 1].tolist() == [100, 100, 100]
