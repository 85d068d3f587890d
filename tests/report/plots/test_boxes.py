"""Plots of localization: boxes are drawn where they are, with any text, and curves follow the data."""

from typing import Any

import numpy as np
import pytest
from pixels import BACKGROUND, LONG, STRANGE_NAMES, decoded, plain, read, relative, where  # type: ignore[import-not-found]

from dlcli.report.plots import boxes as box_plots
from dlcli.report.plots import figure
from dlcli.report.plots import images as image_plots
from dlcli.report.plots.figure import DPI, GREEN, VERMILION

WHOLE = (0.0, 0.0, 1.0, 1.0)
NO_BOX = (np.nan,) * 4


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


def test_names_in_any_script_are_drawn_without_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    names = [*STRANGE_NAMES[:3], *STRANGE_NAMES[5:9], LONG]
    n = len(names)
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
