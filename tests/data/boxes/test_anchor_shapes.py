"""Anchors that fit boxes."""

import numpy as np
import pytest

from dlcli.data.boxes.anchor_shapes import Anchors, shape_iou, suggest


def sides(sizes: np.ndarray, ratios: np.ndarray) -> np.ndarray:
    return np.stack([sizes * np.sqrt(ratios), sizes / np.sqrt(ratios)], axis=1)


def test_shapes_have_their_sizes_and_ratios() -> None:
    anchors = Anchors((3, 4), (4.0, 6.0), (0.5, 2.0))
    shapes = anchors.shapes()
    assert shapes.shape == (8, 2)
    np.testing.assert_allclose(np.sqrt(shapes.prod(axis=1)), np.repeat([32, 48, 64, 96], 2))
    np.testing.assert_allclose(shapes[:, 0] / shapes[:, 1], [0.5, 2.0] * 4)


def test_the_overlap_is_that_of_boxes_with_one_center() -> None:
    anchors = Anchors((3,), (4.0,), (1.0,))  # 32x32
    found = shape_iou(np.array([[32, 32], [16, 32], [64, 32], [64, 64], [16, 64]], np.float64), anchors)
    np.testing.assert_allclose(found, [1, 1 / 2, 1 / 2, 1 / 4, 512 / 1536])
    both = Anchors((3, 4), (4.0,), (1.0,))
    assert shape_iou(np.array([[64.0, 64.0]]), both).tolist() == [1.0]


def test_ratios_are_the_centers_of_clusters() -> None:
    rng = np.random.default_rng(0)
    ratios = np.exp(np.concatenate([rng.normal(np.log(center), 0.05, 200) for center in (0.4, 1.0, 3.0)]))
    anchors = suggest(sides(np.full(600, 50.0), ratios))
    assert anchors.ratios == pytest.approx((0.4, 1.0, 3.0), rel=0.02)


@pytest.mark.parametrize(
    ("smallest", "largest", "levels"),
    [(30, 200, (3, 4, 5)), (60, 400, (4, 5, 6)), (12, 14, (3,)), (300, 310, (6,)), (2, 2000, (3, 4, 5, 6, 7))],
)
def test_sizes_reach_from_the_small_boxes_to_the_large_ones(
    smallest: float, largest: float, levels: tuple[int, ...]
) -> None:
    sizes = np.geomspace(smallest, largest, 500)
    anchors = suggest(sides(sizes, np.ones(500)))
    assert anchors.levels == levels
    assert anchors.ratios == (1.0,)
    if largest < 1000:
        assert shape_iou(sides(sizes, np.ones(500)), anchors).min() > 0.6
    assert anchors.sizes[2] < 2 * anchors.sizes[0]


def test_anchors_fit_better_than_those_of_the_paper() -> None:
    rng = np.random.default_rng(1)
    boxes = sides(rng.uniform(8, 30, 500), np.exp(rng.normal(0.8, 0.3, 500)))
    paper = Anchors((3, 4, 5, 6, 7), (4.0, 5.04, 6.35), (0.5, 1.0, 2.0))
    assert shape_iou(boxes, suggest(boxes)).mean() > shape_iou(boxes, paper).mean() + 0.1


def test_one_box_and_equal_boxes() -> None:
    assert suggest(np.array([[40.0, 40.0]])).ratios == (1.0,)
    assert suggest(np.full((7, 2), 0.5)).levels == (3,)
