"""Maps beside their images: signs by color, the scale, empty maps and warnings."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from pixels import has_color, read  # type: ignore[import-not-found]

from dlcli.report.plots.attribution import MapColumn, attribution_maps, blended, scale_of
from dlcli.report.plots.figure import GREEN, VERMILION, size_of

IMAGES = np.full((2, 6, 10, 3), 255, np.uint8)


def test_signs_have_colors_and_zero_is_white() -> None:
    values = np.zeros((2, 2))
    values[0] = [4.0, -4.0]
    colors = blended(np.full((2, 2, 1), 255.0), values, 4.0)
    red, blue, white = colors[0, 0], colors[0, 1], colors[1, 0]
    assert red[0] > red[2] + 0.2
    assert blue[2] > blue[0] + 0.2
    np.testing.assert_allclose(white, white[::-1], atol=0.02)
    assert white.min() > 0.95
    beyond = blended(np.full((2, 2, 1), 255.0), values * 9, 4.0)
    np.testing.assert_allclose(beyond, colors)


def test_the_image_shows_through() -> None:
    image = np.zeros((2, 2, 1))
    image[0] = 255
    colors = blended(image, np.zeros((2, 2)), 1.0)
    assert colors[0].min() > colors[1].max() + 0.2


def test_the_scale_ignores_few_extreme_pixels_but_not_all() -> None:
    values = np.ones((100, 100))
    values[0, :5] = -1000
    assert scale_of(values) == 1.0
    lonely = np.zeros((100, 100))
    lonely[3, 4] = -7
    assert scale_of(lonely) == 7.0
    assert scale_of(np.zeros((3, 3))) == 0.0


@pytest.mark.parametrize("num_images", [1, 2])
def test_notes_and_warnings_change_the_plot(num_images: int) -> None:
    maps = np.linspace(-1, 1, 60 * num_images).reshape(num_images, 6, 10)
    notes = [""] * num_images
    arguments = (IMAGES[:num_images], ["cat 0.90"] * num_images, ["a $x$.png"] * num_images)
    plain = read(attribution_maps(*arguments, [MapColumn("gradient", maps, notes)], title="Colors"))
    warned = read(attribution_maps(*arguments, [MapColumn("gradient", maps, notes, "fails a check")], title="Colors"))
    empty = read(attribution_maps(*arguments, [MapColumn("gradient", maps * 0, notes)], title="Colors"))
    assert has_color(warned, VERMILION)
    assert not has_color(plain, VERMILION)
    assert empty.shape == plain.shape
    assert (empty != plain).any()


def test_what_is_marked_is_outlined_in_the_image_and_its_map() -> None:
    marked = np.zeros((1, 6, 10), bool)
    maps, arguments = np.zeros((1, 6, 10)), (IMAGES[:1], ["cat"], ["a.png"])
    columns = [MapColumn("gradient", maps, [""])]
    plain = read(attribution_maps(*arguments, columns, title="Colors"))
    nothing = read(attribution_maps(*arguments, columns, title="Colors", outlines=marked))
    marked[0, 2:5, 0:4] = True  # up to the edge of the image
    outlined = read(attribution_maps(*arguments, columns, title="Colors", outlines=marked))
    assert has_color(outlined, GREEN)
    assert not has_color(plain, GREEN)
    np.testing.assert_array_equal(nothing, plain)


def test_a_long_title_fits_above_one_map(monkeypatch: pytest.MonkeyPatch) -> None:
    figures: list[Figure] = []
    monkeypatch.setattr("dlcli.report.plots.attribution.png", lambda figure: (figures.append(figure), b"")[1])
    columns = [MapColumn("gradcam", np.zeros((1, 6, 10)), [""])]
    attribution_maps(IMAGES[:1], ["cat"], ["a.png"], columns, title="Red speaks for the class, blue against it; " * 3)
    (figure,) = figures
    title = figure._suptitle  # type: ignore[attr-defined]
    assert size_of(title)[0] < figure.get_size_inches()[0]
