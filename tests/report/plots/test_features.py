"""Figures of filters: positions beyond the image are pale blue, zero is gray, and names are any text."""

import io
from typing import Any

import numpy as np
from PIL import Image

from dlcli.report.plots.features import BEYOND, StageFeatures, feature_rows, filter_grid, hierarchy, scale_of


def features(**changes: Any) -> StageFeatures:
    patches = np.random.default_rng(0).uniform(0, 255, (2, 4, 4, 6, 3)).astype(np.float32)
    known: dict[str, Any] = {
        "stage": "stage1",
        "layer": "a$b_{",
        "filters": [0, 3],
        "patches": patches,
        "projections": patches - 128,
        "largest": np.arange(2.0),
    }
    return StageFeatures(**(known | changes))


def colors(png: bytes) -> set[tuple[int, ...]]:
    with Image.open(io.BytesIO(png)) as image:
        return {tuple(color) for color in np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)}


def has_pale_blue(png: bytes) -> bool:
    return bool(any(np.allclose(color, np.multiply(BEYOND, 255), atol=1) for color in colors(png)))


def test_positions_beyond_the_image_are_pale_blue() -> None:
    assert not has_pale_blue(feature_rows(features()))
    patches = features().patches.copy()
    patches[0, 0, 0] = np.nan
    beyond = features(patches=patches)
    assert has_pale_blue(feature_rows(beyond))
    assert has_pale_blue(hierarchy([features(), beyond]))


def test_projections_of_zero_are_gray_and_infinite_scales_do_not_arise() -> None:
    zero = features(projections=np.zeros((2, 4, 4, 6, 3)), patches=np.zeros((2, 4, 4, 6, 3)))
    assert {(127, 127, 127), (0, 0, 0)} <= colors(feature_rows(zero))
    assert scale_of(np.full((2, 2, 1), np.nan)) == 0.0
    assert scale_of(np.array([[0.0, -3.0]])) > 2.5


def test_a_column_of_images_that_maximize_and_gray_patches() -> None:
    gray = np.zeros((2, 4, 3, 3, 1), np.float32)
    maximized = np.full((2, 3, 3, 1), 51.0)
    drawn = feature_rows(features(patches=gray, projections=gray, maximized=maximized, values=np.arange(2.0)))
    assert (51, 51, 51) in colors(drawn)


def test_filters_as_images() -> None:
    filters = np.zeros((7, 3, 3, 1))
    filters[0, 0, 0], filters[1, 1, 1] = 2.0, -0.5
    assert {(255, 255, 255), (0, 0, 0), (127, 127, 127)} <= colors(filter_grid(filters, "conv"))
