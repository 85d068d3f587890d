"""The masks of objects that are drawn when they are read."""

from dataclasses import replace

import numpy as np
import pytest

from dlcli.data.boxes.boxes import TURNS, Frame
from dlcli.data.boxes.objects import ObjectBoxes
from dlcli.data.boxes.shapes import DrawnInstances, Shape
from dlcli.data.images.decoding import ImagePolicy

HEIGHT, WIDTH = 5, 8
CORNER = Shape(polygons=(np.array([[0, 0], [3, 0], [3, 2], [0, 2]], np.float32),))
RUNS = Shape(runs=np.array([7, 3, 30], np.int64))  # the second column from its third row on


def test_each_object_has_its_pixels() -> None:
    masks = DrawnInstances(Frame(WIDTH, HEIGHT), (CORNER, RUNS)).read()
    assert (masks.dtype, masks.shape) == (np.uint8, (2, HEIGHT, WIDTH))
    expected = np.zeros((2, HEIGHT, WIDTH), int)
    expected[0, :2, :3] = 1
    expected[1, 2:, 1] = 1
    assert masks.tolist() == expected.tolist()
    assert DrawnInstances(Frame(WIDTH, HEIGHT), ()).read().shape == (0, HEIGHT, WIDTH)


@pytest.mark.parametrize("orientation", TURNS)
def test_masks_are_rotated_upright_like_their_boxes(orientation: int) -> None:
    """By the maps of the boxes, for every orientation of EXIF."""
    frame = Frame(WIDTH, HEIGHT, orientation)
    mask = DrawnInstances(frame, (CORNER,)).read()[0]
    assert mask.shape == frame.upright_size[::-1]
    boxes = ObjectBoxes(
        corners=np.array([[0.0, 0, 3, 2]]),
        labels=np.zeros(1, np.int32),
        is_crowd=np.zeros(1, np.bool_),
        is_difficult=np.zeros(1, np.bool_),
        areas=np.array([6.0]),
        offsets=np.array([0, 1]),
        frames=(frame,),
    )
    width, height = frame.upright_size
    left, top, right, bottom = boxes.relative(ImagePolicy((height, width), "rgb", "stretch", "bilinear", True))[0] * [
        width,
        height,
        width,
        height,
    ]
    rows, columns = np.nonzero(mask)
    assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == pytest.approx((left, top, right, bottom))


def test_digests_depend_on_the_shapes_and_the_frame() -> None:
    frame = Frame(WIDTH, HEIGHT)
    made = [
        DrawnInstances(frame, (CORNER, RUNS)),
        DrawnInstances(frame, (RUNS, CORNER)),
        DrawnInstances(Frame(WIDTH, HEIGHT, 3), (CORNER, RUNS)),
        DrawnInstances(frame, (CORNER,)),
    ]
    assert len({instances.digest for instances in made}) == 4
    assert DrawnInstances.of(frame, [CORNER, RUNS]).digest == made[0].digest


def test_an_encoding_must_be_for_the_size_of_the_image() -> None:
    assert RUNS.flaw(Frame(8, 5)) == ""
    assert RUNS.flaw(Frame(8, 6)) == "its encoding is for 40 pixels, but the image has 48"
    turned = replace(RUNS, size=(8, 5))
    assert not turned.flaw(Frame(5, 8))
    assert turned.flaw(Frame(8, 5)) == "its encoding is for an image of 5x8, but the image has 8x5"
    assert CORNER.flaw(Frame(1, 1)) == ""


@pytest.mark.parametrize(
    ("shape", "flaw"),
    [
        (Shape(runs=np.array([40], np.int64)), "its mask has no pixels"),
        (Shape(polygons=(np.array([[1, 1], [5, 1], [3, 1]], np.float32),)), "its mask has no pixels"),
        (Shape(polygons=(CORNER.polygons[0] + [8, 0],)), "its mask is outside of the image of 8x5"),
        (Shape(polygons=(CORNER.polygons[0] - [0, 2],)), "its mask is outside of the image of 8x5"),
        (Shape(polygons=(CORNER.polygons[0] + [7.9, 4.9],)), ""),
    ],
)
def test_a_mask_must_have_pixels_in_the_image(shape: Shape, flaw: str) -> None:
    assert shape.flaw(Frame(WIDTH, HEIGHT)) == flaw


def test_areas() -> None:
    assert CORNER.area == 6
    assert RUNS.area == 3
