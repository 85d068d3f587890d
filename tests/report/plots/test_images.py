"""Plots of samples: batches of any shape, previews with boxes, and the most confident mistakes."""

import numpy as np
import pytest
from pixels import BACKGROUND, draw_mistakes, has_color, noise, plain, read, relative, where  # type: ignore[import-not-found]

from dlcli.report.plots import figure
from dlcli.report.plots import images as image_plots
from dlcli.report.plots.figure import VERMILION


def test_a_batch_shows_its_images_and_titles() -> None:
    batch = noise(4, 8, 8, 1)
    titles = ["one", "two", "three", "four"]
    pixels = read(image_plots.sample_batch(batch, titles))
    assert (read(image_plots.sample_batch(255 - batch, titles)) != pixels).any()
    assert (read(image_plots.sample_batch(batch, [*titles[:3], "five"])) != pixels).any()
    np.testing.assert_array_equal(
        read(image_plots.sample_batch(batch.astype("uint8") * 1.0, titles)).shape, pixels.shape
    )


def test_colors_are_those_of_the_pixels() -> None:
    batch = np.zeros((1, 4, 4, 3), "uint8")
    batch[:] = (200, 30, 90)
    assert has_color(read(image_plots.sample_batch(batch, ["x"])), "#C81E5A")
    assert has_color(read(image_plots.sample_batch(np.full((1, 4, 4, 1), 77, "uint8"), ["x"])), "#4D4D4D")


@pytest.mark.parametrize(
    "batch",
    [
        noise(1, 1, 1, 1),
        noise(2, 40, 10, 3),
        noise(7, 10, 90, 3) * 3 - 200,
        noise(200, 8, 8, 1),
        noise(3, 50, 2) - 100,
        noise(2, 50, 12),
        noise(5, 6, 7, 8, 1),
        noise(2, 1, 7, 8, 3),
        np.full((2, 8, 8, 3), np.nan),
        np.full((2, 9, 1), np.nan),
        np.zeros((2, 3, 4, 5, 1)),
    ],
    ids=lambda batch: "x".join(map(str, batch.shape)),
)
def test_batches_of_all_shapes(batch) -> None:
    read(image_plots.sample_batch(batch, [f"class {i}" for i in range(len(batch))]))


def test_at_most_25_samples_are_shown() -> None:
    batch, titles = noise(40, 8, 8, 1), ["x"] * 40
    assert image_plots.sample_batch(batch, titles) == image_plots.sample_batch(batch[:25], titles[:25])
    assert image_plots.sample_batch(batch[:24], titles[:24]) != image_plots.sample_batch(batch[:25], titles[:25])


def test_an_empty_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one sample"):
        image_plots.sample_batch(noise(0, 8, 8, 1), [])


def test_signals_are_lines_and_volumes_their_middle_slice() -> None:
    signal = read(image_plots.sample_batch(noise(1, 50, 2), ["x"]))
    assert has_color(signal, figure.BLUE)
    assert has_color(signal, figure.VERMILION)
    volume = np.zeros((1, 5, 4, 4, 1))
    volume[0, 2, :, :2] = 1.0
    before = image_plots.sample_batch(volume, ["x"])
    volume[0, 1, 0, 0] = 0.5  # not in the middle
    assert image_plots.sample_batch(volume, ["x"]) == before
    volume[0, 2, 0, 0] = 0.5
    assert image_plots.sample_batch(volume, ["x"]) != before


def test_the_most_confident_mistakes_come_first() -> None:
    batch = noise(3, 8, 8, 1)
    backwards = draw_mistakes(
        batch[::-1],
        [0.9, 0.7, 0.5],
        labels=["cat2", "cat1", "cat0"],
        names=["folder/2.png", "folder/1.png", "folder/0.png"],
    )
    assert draw_mistakes(batch, [0.5, 0.7, 0.9]) == backwards != draw_mistakes(batch, [0.9, 0.7, 0.5])


def test_at_most_25_mistakes_are_shown() -> None:
    batch = noise(30, 8, 8, 1)
    confidence = [1 - i / 100 for i in range(30)]
    assert draw_mistakes(batch, confidence) == draw_mistakes(batch[:25], confidence[:25])
    read(draw_mistakes(batch, confidence))


def test_every_word_of_a_mistake_is_shown() -> None:
    batch = noise(1, 8, 8, 3)
    before = draw_mistakes(batch, [0.98])
    assert draw_mistakes(batch, [0.97]) != before
    for changes in ({"labels": ["owl"]}, {"predicted": ["owl"]}, {"names": ["other.png"]}, {"names": [7]}):
        assert draw_mistakes(batch, [0.98], **changes) != before


def test_a_mistake_says_which_name_is_the_label(monkeypatch: pytest.MonkeyPatch) -> None:
    captions: list[list[str]] = []
    monkeypatch.setattr(image_plots, "image_grid", lambda images, texts, title: captions.extend(texts) or b"")
    draw_mistakes(noise(1, 8, 8, 3), [0.98], labels=["RBC"], predicted=["WBC"], names=["1.png"])
    assert captions == [["label: RBC\npredicted: WBC 0.98", "1.png"]]


def test_a_plot_without_mistakes_says_so() -> None:
    pixels = read(draw_mistakes(noise(0, 8, 8, 1), []))
    assert (pixels < 255).any()


WHOLE = (0.0, 0.0, 1.0, 1.0)
NO_BOX = (np.nan,) * 4
BOXES = [(0.2, 0.1, 0.5, 0.8), (0.6, 0.4, 0.9, 0.5), (0.05, 0.5, 0.15, 0.95)]


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
