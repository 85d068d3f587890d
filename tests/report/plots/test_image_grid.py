"""Grids of images: their layout, captions, and the boxes on them."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from pixels import BACKGROUND, plain, read, where  # type: ignore[import-not-found]

from dlcli.report.plots import image_grid as grids
from dlcli.report.plots.figure import DPI, GREEN


def columns_of(pixels: np.ndarray) -> int:
    """Images side by side in the first row that has any."""
    rgb = [int(BACKGROUND[i : i + 2], 16) for i in (1, 3, 5)]
    is_image = (pixels == rgb).all(axis=-1)
    row = is_image[is_image.any(axis=1).argmax() + 3]
    return int((np.diff(row.astype(int)) == 1).sum())


@pytest.mark.parametrize(
    ("num", "num_columns", "expected"), [(4, None, 2), (5, None, 3), (4, 4, 4), (3, 2, 2), (1, None, 1)]
)
def test_columns_are_the_root_of_the_number_unless_given(num: int, num_columns: int | None, expected: int) -> None:
    pixels = read(grids.image_grid(plain(num), [["x"]] * num, title="title", num_columns=num_columns))
    assert columns_of(pixels) == expected


def test_every_caption_is_drawn() -> None:
    before = grids.image_grid(plain(1), [["above"]], title="title")
    assert grids.image_grid(plain(1), [["other"]], title="title") != before
    assert grids.image_grid(plain(1), [["above"]], title="another") != before
    two = grids.image_grid(plain(1), [["above", "below"]], title="title")
    assert grids.image_grid(plain(1), [["above", "under"]], title="title") != two != before


def test_a_long_title_over_boxes_has_room() -> None:
    boxes = np.array([(0.2, 0.2, 0.6, 0.6)])
    pixels = read(grids.image_grid(plain(1), [["x"]], title="a title " * 5, outlines=[(boxes, GREEN)]))
    assert pixels.shape[1] == 6.4 * DPI
    assert where(pixels, GREEN) is not None


def test_a_missing_box_draws_nothing() -> None:
    without = grids.image_grid(plain(1), [["x"]], title="t")
    none = grids.image_grid(plain(1), [["x"]], title="t", outlines=[(np.full((1, 4), np.nan), GREEN)])
    assert none == without


@pytest.mark.parametrize(
    ("shape", "what"), [((6, 8, 1), "image"), ((6, 8, 3), "image"), ((9, 2), "lines"), ((5, 6, 8, 1), "image")]
)
def test_images_and_slices_are_drawn_as_images_and_signals_as_lines(shape: tuple[int, ...], what: str) -> None:
    axes = Figure().add_subplot()
    values = np.random.default_rng(0).uniform(0, 1, shape)
    grids.draw_image(axes, values, (0.0, 1.0))
    if what == "lines":
        assert len(axes.images) == 0
        for line, channel in zip(axes.lines, values.T, strict=True):
            np.testing.assert_array_equal(line.get_ydata(), channel)
        return
    (image,) = axes.images
    shown = values[2] if len(shape) == 4 else values
    np.testing.assert_allclose(image.get_array(), shown if shape[-1] == 3 else shown[..., 0])


def test_shades_are_clipped_to_the_limits() -> None:
    axes = Figure().add_subplot()
    grids.draw_image(axes, np.array([[[-5.0], [15.0], [40.0]]]), (0.0, 30.0))
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.0, 0.5, 1.0]])


def test_a_box_is_outlined_between_pixels() -> None:
    axes = Figure().add_subplot()
    grids.outline_box(axes, np.array([0.25, 0.5, 0.75, 1.0]), (20, 40, 3), GREEN)
    for line in axes.lines:  # a white line below a colored one
        assert (min(line.get_xdata()), max(line.get_xdata())) == (9.5, 29.5)
        assert (min(line.get_ydata()), max(line.get_ydata())) == (9.5, 19.5)
    assert [line.get_color() for line in axes.lines] == ["white", GREEN]
