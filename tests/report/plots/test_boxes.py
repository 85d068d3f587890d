"""Boxes in plots and images: the colors stand where the boxes are, and any box, size and name can be drawn."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlcli.report.plots import boxes as box_plots
from dlcli.report.plots import figure
from dlcli.report.plots import images as image_plots
from dlcli.report.plots.box_overlay import with_box
from dlcli.report.plots.figure import DPI, GREEN, VERMILION

LONG = "the longest of all the names that anyone has given to a class of images, and then some"
STRANGE_NAMES = ("猫のとても長い名前のクラスです", "γάτα", "😀🦖", "$x^2", "two\nlines", "\x00\x1b[31m", "", LONG)
WHOLE = (0.0, 0.0, 1.0, 1.0)
NO_BOX = (np.nan,) * 4


def decoded(png: bytes) -> np.ndarray:
    """The pixels [height, width, 3]."""
    image = Image.open(io.BytesIO(png))
    assert image.format == "PNG"
    assert max(image.size) <= 16 * DPI
    return np.asarray(image.convert("RGB"))


def read(png: bytes) -> np.ndarray:
    """The pixels [height, width, 3]; nothing may touch the border, where text would be cut off."""
    pixels = decoded(png)
    for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
        assert (edge == 255).all()
    return pixels


def where(pixels: np.ndarray, color: str, tolerance: int = 0) -> np.ndarray | None:
    """Left, top, right and bottom edge of what has a color; None where nothing has."""
    rgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)])
    found = np.argwhere((np.abs(pixels.astype(int) - rgb) <= tolerance).all(axis=-1))
    if not len(found):
        return None
    (top, left), (bottom, right) = found.min(axis=0), found.max(axis=0) + 1
    return np.array([left, top, right, bottom])


BACKGROUND = "#285082"


def plain(num: int, height: int = 40, width: int = 60) -> np.ndarray:
    """Images of one color, by which they are found in a plot."""
    return np.broadcast_to(np.array([0x28, 0x50, 0x82], np.uint8), (num, height, width, 3))


def relative(pixels: np.ndarray, color: str) -> np.ndarray:
    """Where a color is, rel_xyxy in the one image of a plot."""
    image, found = where(pixels, BACKGROUND), where(pixels, color, tolerance=30)
    assert image is not None
    assert found is not None
    left, top, right, bottom = image
    return np.asarray((found - [left, top, left, top]) / ([right - left, bottom - top] * 2))


BOXES = [(0.2, 0.1, 0.5, 0.8), (0.6, 0.4, 0.9, 0.5), (0.05, 0.5, 0.15, 0.95)]


# Grids ----------------------------------------------------------------------------------------------------------------


def draw_boxes(images: np.ndarray, true: Any, predicted: Any, **changes: list[str]) -> bytes:
    texts = {"titles": ["best: 0.71"] * len(images), "names": [f"cat: {i}.png" for i in range(len(images))]}
    return box_plots.boxes(
        images,
        true=np.array(true),
        predicted=np.array(predicted),
        num_columns=min(len(images), 6),
        **(texts | changes),
    )


@pytest.mark.parametrize(("box", "shape"), list(zip(BOXES, [(40, 60), (8, 8), (90, 45)], strict=True)))
def test_both_boxes_are_drawn_where_they_are(box: tuple[float, ...], shape: tuple[int, int]) -> None:
    other = (0.3, 0.2, 0.7, 0.6)
    line = 0.03  # half its width, and antialiasing, by the side of the image
    pixels = decoded(draw_boxes(plain(1, *shape), [box], [NO_BOX]))
    np.testing.assert_allclose(relative(pixels, GREEN), box, atol=line)
    assert where(pixels, VERMILION) is None
    pixels = decoded(draw_boxes(plain(1, *shape), [NO_BOX], [box]))
    np.testing.assert_allclose(relative(pixels, VERMILION), box, atol=line)
    assert where(pixels, GREEN) is None
    both = decoded(draw_boxes(plain(1, *shape), [other], [box]))
    assert where(both, GREEN) is not None
    np.testing.assert_allclose(relative(both, VERMILION), box, atol=line)  # on top of the true one


def test_every_text_of_a_box_is_shown() -> None:
    before = draw_boxes(plain(2), BOXES[:2], BOXES[1:])
    assert draw_boxes(plain(2), BOXES[:2], BOXES[1:], titles=["worst: 0.01", "best: 0.71"]) != before
    assert draw_boxes(plain(2), BOXES[:2], BOXES[1:], names=["cat: 0.png", "dog: 1.png"]) != before
    assert draw_boxes(plain(2), BOXES[:2], BOXES[1:]) == before


def test_without_boxes_an_image_says_so() -> None:
    pixels = read(draw_boxes(np.zeros((0, 8, 8, 3), np.uint8), np.zeros((0, 4)), np.zeros((0, 4))))
    assert (pixels < 255).any()
    assert pixels.shape == (1.5 * DPI, 4 * DPI, 3)


@pytest.mark.parametrize("num", [5, 12])
@pytest.mark.parametrize("shape", [(8, 8, 1), (10, 90, 3), (90, 10, 3), (1, 1, 1)])
def test_grids_of_any_number_and_shape(num: int, shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(0).uniform(0, 255, (num, *shape)).astype(np.float32)
    true = np.array([BOXES[i % 3] for i in range(num)])
    pixels = read(draw_boxes(images, true, true / 2))
    assert min(pixels.shape[:2]) > DPI


@pytest.mark.parametrize("box", [WHOLE, (0.0, 0.0, 0.0, 0.0), (1.0, 1.0, 1.0, 1.0), (0.5, 0.0, 0.5, 1.0), NO_BOX])
def test_boxes_at_the_very_edge_keep_the_image_as_it_is(box: tuple[float, ...]) -> None:
    before = read(image_plots.sample_batch(plain(1), ["x"]))
    image = where(before, BACKGROUND)
    assert image is not None
    pixels = read(image_plots.sample_batch(plain(1), ["x"], np.array([box])))
    assert pixels.shape == before.shape
    inside = where(pixels, BACKGROUND)
    assert inside is not None
    np.testing.assert_allclose(inside, image, atol=4)  # the line covers its rim
    assert decoded(draw_boxes(plain(1), [box], [box])).shape[0] == before.shape[0]


def test_a_batch_shows_its_boxes_and_those_that_are_missing_are_not() -> None:
    boxes = np.array([BOXES[0]], np.float32)
    pixels = read(image_plots.sample_batch(plain(1), ["x"], boxes))
    np.testing.assert_allclose(relative(pixels, VERMILION), BOXES[0], atol=0.03)
    none = image_plots.sample_batch(plain(3), ["x"] * 3, np.full((3, 4), np.nan))
    assert none == image_plots.sample_batch(plain(3), ["x"] * 3)
    assert image_plots.sample_batch(plain(3), ["x"] * 3, np.array([NO_BOX, BOXES[0], NO_BOX])) != none


def test_at_most_25_samples_and_their_boxes_are_shown() -> None:
    boxes, titles = np.tile(BOXES[0], (40, 1)), ["x"] * 40
    few = image_plots.sample_batch(plain(25), titles[:25], boxes[:25])
    assert image_plots.sample_batch(plain(40), titles, boxes) == few
    assert image_plots.sample_batch(plain(24), titles[:24], boxes[:24]) != few


def test_a_preview_shows_the_box_of_each_column() -> None:
    columns = [("as it is", plain(2), ["a", "b"]), ("changed", plain(2), ["shifted", "turned"])]
    none = np.full((2, 4), np.nan)
    before = read(image_plots.preview(columns))
    assert where(before, VERMILION) is None
    np.testing.assert_array_equal(read(image_plots.preview(columns, [none, none])), before)
    image = where(before, BACKGROUND)
    assert image is not None
    middle = (image[:2] + image[2:]) / 2
    for column in range(2):
        for row in range(2):
            boxes = [none.copy(), none.copy()]
            boxes[column][row] = BOXES[0]
            pixels = read(image_plots.preview(columns, boxes))
            assert pixels.shape == before.shape
            found = where(pixels, VERMILION)
            assert found is not None
            assert (found[0] > middle[0]) == (found[2] > middle[0]) == (column == 1)
            assert (found[1] > middle[1]) == (found[3] > middle[1]) == (row == 1)
    edges = np.array([WHOLE, (0.0, 0.0, 0.0, 0.0)])
    assert read(image_plots.preview(columns, [edges, edges])).shape == before.shape


def test_names_in_any_script_are_drawn_without_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    n, names = len(STRANGE_NAMES), list(STRANGE_NAMES)
    boxes = np.tile(BOXES[0], (n, 1))
    read(draw_boxes(plain(n), boxes, boxes, titles=names, names=names[::-1]))
    read(image_plots.sample_batch(plain(n), names, boxes))
    read(image_plots.preview([("one", plain(n), names), ("two", plain(n), names)], [boxes, boxes]))
    assert caplog.records == []  # Matplotlib logs about fonts


# Curves ---------------------------------------------------------------------------------------------------------------

THRESHOLDS = [round(0.5 + 0.05 * i, 2) for i in range(10)]


def curve(first: float, last: float) -> list[list[float]]:
    return [[t, first + (last - first) * i / 9] for i, t in enumerate(THRESHOLDS)]


def test_localization_curves_follow_the_data() -> None:
    one = {"network": curve(0.9, 0.1), "mean box": curve(0.2, 0.0)}
    pixels = read(box_plots.localization_curves(one))
    assert pixels.shape == (3.6 * DPI, 5 * DPI, 3)
    network, baseline = where(pixels, figure.BLUE), where(pixels, image_plots.GRAY)
    assert network is not None
    assert baseline is not None
    assert box_plots.localization_curves(one) == box_plots.localization_curves(one)
    for changed in (
        {**one, "network": curve(0.8, 0.1)},
        {**one, "mean box": curve(0.2, 0.1)},
        {"network": one["network"]},
        {"other": one["network"], "mean box": one["mean box"]},
    ):
        assert (read(box_plots.localization_curves(changed)) != pixels).any()
    lower = where(read(box_plots.localization_curves({"network": curve(0.4, 0.1)})), figure.BLUE)
    alone = where(read(box_plots.localization_curves({"network": curve(0.9, 0.1)})), figure.BLUE)
    assert lower is not None
    assert alone is not None
    assert (lower[[0, 2]] == alone[[0, 2]]).all()


@pytest.mark.parametrize("values", [(1.0, 1.0), (0.0, 0.0), (1.0, 0.0)])
def test_localization_curves_at_the_ends(values: tuple[float, float]) -> None:
    pixels = read(box_plots.localization_curves({"network": curve(*values), "mean box": curve(*values)}))
    assert where(pixels, figure.GRAY) is not None


# Images of full size ------------------------------------------------------------------------------------------------


def drawn(box: tuple[float, ...], *, size: tuple[int, int] = (300, 200), label: str = "cat 0.98") -> np.ndarray:
    image = Image.open(io.BytesIO(with_box(Image.new("RGB", size, BACKGROUND), box, label)))
    assert image.format == "PNG"
    assert image.size == size
    return np.asarray(image)


def test_a_box_is_drawn_at_its_pixels_with_the_label_above() -> None:
    pixels = drawn((60, 80, 220, 170))
    found = where(pixels, VERMILION)
    assert found is not None
    assert found[[0, 2, 3]].tolist() == [60, 220, 170]
    assert 50 < found[1] < 80
    assert where(pixels[:80], "#FFFFFF", tolerance=60) is not None  # the text
    assert where(pixels[82:168, 62:218], BACKGROUND) is not None
    assert (pixels[82:168, 62:218] == pixels[100, 100]).all()  # nothing is drawn inside
    red = where(pixels[80:170, 60:220], VERMILION)
    assert red is not None
    assert red.tolist() == [0, 0, 160, 90]


def test_a_label_is_below_the_upper_edge_where_there_is_no_room_above() -> None:
    pixels = drawn((60, 2, 220, 170))
    found = where(pixels, VERMILION)
    assert found is not None
    assert found.tolist() == [60, 2, 220, 170]
    assert where(pixels[2:30], "#FFFFFF", tolerance=60) is not None


def test_a_label_stays_inside_at_the_right() -> None:
    at_left, at_right = drawn((10, 80, 40, 120)), drawn((290, 80, 300, 120))
    texts = [where(pixels[:80], "#FFFFFF", tolerance=60) for pixels in (at_left, at_right)]
    assert texts[0] is not None
    assert texts[1] is not None
    assert texts[0][2] - texts[0][0] == texts[1][2] - texts[1][0]  # all of it
    assert texts[1][2] < 300


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (12, 200), (300, 200), (3000, 40)])
@pytest.mark.parametrize("name", STRANGE_NAMES)
def test_any_label_in_an_image_of_any_size(size: tuple[int, int], name: str) -> None:
    width, height = size
    for box in (
        (0, 0, width, height),
        (0, 0, 0, 0),
        (width, height, width, height),
        (width - 0.3, 0, width, height),
        (0.2, height - 0.4, 0.5, height),
    ):
        pixels = drawn(box, size=size, label=name)
        assert where(pixels, VERMILION) is not None or min(size) < 6  # the text may cover all of a tiny one


def test_the_whole_image_is_framed_to_its_last_pixel() -> None:
    pixels = drawn((0, 0, 300, 200), label="x")
    for edge in (pixels[-1], pixels[:, 0], pixels[:, -1]):
        assert (edge == edge[0]).all()
    red = where(pixels, VERMILION)
    assert red is not None
    assert red.tolist() == [0, 0, 300, 200]


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "CMYK", "1", "LA"])
def test_images_of_every_mode_are_drawn_in_color_and_stay_as_they_were(mode: str) -> None:
    image = Image.new("RGB", (60, 50), "#808080").convert(mode)
    before = image.tobytes()
    pixels = np.asarray(Image.open(io.BytesIO(with_box(image, (10, 20, 50, 45), "x"))))
    assert pixels.shape == (50, 60, 3)
    assert where(pixels, VERMILION) is not None
    assert image.tobytes() == before
