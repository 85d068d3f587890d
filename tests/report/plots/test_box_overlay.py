"""Full-size images with boxes: drawn at their pixels, in any mode and size, with any label."""

import io

import numpy as np
import pytest
from matplotlib import font_manager
from PIL import Image
from pixels import BACKGROUND, STRANGE_NAMES, where  # type: ignore[import-not-found]

from dlcli.report.plots import figure
from dlcli.report.plots.box_overlay import LabeledBox, crop, enlargement, with_box, with_boxes
from dlcli.report.plots.figure import BLUE, VERMILION


def drawn(box: tuple[float, ...], *, size: tuple[int, int] = (300, 200), label: str = "cat 0.98") -> np.ndarray:
    image = Image.open(io.BytesIO(with_box(Image.new("RGB", size, BACKGROUND), box, label)))
    assert image.format == "PNG"
    factor = enlargement(size)
    assert image.size == (factor * size[0], factor * size[1])
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


def test_small_images_are_enlarged_so_that_labels_do_not_cover_them() -> None:
    assert [enlargement(size) for size in ((300, 200), (64, 64), (28, 40), (3000, 40), (1, 1))] == [1, 4, 8, 1, 200]
    pixels = drawn((8, 16, 56, 60), size=(64, 64))
    red = where(pixels[64:], VERMILION)
    assert red is not None
    assert red.tolist() == [32, 0, 224, 176]
    mask = np.zeros((64, 64), np.uint8)
    mask[20:30, 12:40] = 1
    plain, masked = (
        np.asarray(Image.open(io.BytesIO(with_boxes(Image.new("RGB", (64, 64), BACKGROUND), [box]))))
        for box in (LabeledBox((8, 16, 56, 60), "a"), LabeledBox((8, 16, 56, 60), "a", mask=mask))
    )
    rows, columns = np.nonzero((plain != masked).any(axis=-1))
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (80, 120, 48, 160)


def test_a_label_is_drawn_with_the_fonts_of_the_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    symbols = font_manager.get_font(font_manager.findfont("STIXNonUnicode"))  # comes with Matplotlib
    letter = next(chr(code) for code in sorted(symbols.get_charmap()) if figure.without_glyph([chr(code)]))
    squares = drawn((60, 80, 220, 170), label=f"cat {letter} 0.98")
    monkeypatch.setattr(figure, "FALLBACK_FONTS", ("STIXNonUnicode",))
    figure._fonts.cache_clear()
    try:
        assert [part for part, _ in figure.font_runs(f"cat {letter} 0.98")] == ["cat ", letter, " 0.98"]
        found = drawn((60, 80, 220, 170), label=f"cat {letter} 0.98")
    finally:
        figure._fonts.cache_clear()
    assert (found[:80] != squares[:80]).any()
    assert (found[80:] == squares[80:]).all()


def test_a_dollar_sign_is_drawn_as_one_character() -> None:
    assert figure.shown("5$", 10) == "5$"
    assert where(drawn((60, 80, 220, 170), label="5$")[:80], "#FFFFFF", tolerance=60) is not None


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
    assert pixels.shape == (200, 240, 3)  # four times as large
    assert where(pixels, VERMILION) is not None
    assert image.tobytes() == before


def test_the_first_of_several_boxes_is_above_the_others() -> None:
    boxes = [LabeledBox((60, 80, 220, 170), "cat 0.98"), LabeledBox((60, 80, 240, 190), "dog 0.50", BLUE)]
    pixels = np.asarray(Image.open(io.BytesIO(with_boxes(Image.new("RGB", (300, 200), BACKGROUND), boxes))))
    assert where(pixels[80:82, 60:220], VERMILION) is not None
    found = where(pixels, BLUE)
    assert found is not None
    assert found[2:].tolist() == [240, 190]
    plain = Image.open(io.BytesIO(with_boxes(Image.new("RGB", (300, 200), BACKGROUND), [])))
    assert where(np.asarray(plain), VERMILION) is None


@pytest.mark.parametrize(
    ("corners", "size"),
    [
        ((10, 20, 50, 45), (40, 25)),
        ((10.4, 20.6, 49.7, 45.2), (40, 25)),
        ((60, 50, 60, 50), (1, 1)),
        ((0, 0, 0, 0), (1, 1)),
    ],
)
def test_a_crop_has_the_pixels_of_its_box(corners: tuple[float, ...], size: tuple[int, int]) -> None:
    values = np.arange(60 * 50 * 3, dtype=np.uint8).reshape(50, 60, 3)
    found = Image.open(io.BytesIO(crop(Image.fromarray(values), corners)))
    assert found.size == size
    x, y = min(int(corners[0]), 59), min(int(corners[1]), 49)
    assert (np.asarray(found) == values[y : y + size[1], x : x + size[0]]).all()
