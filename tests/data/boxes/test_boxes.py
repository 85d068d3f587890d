"""Boxes between the frame of their annotation and the network's input: closed forms, round trips, real images."""

import itertools
import math
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dlcli.data.boxes.boxes import (
    TURNS,
    BadBox,
    Boxes,
    Corners,
    Frame,
    Object,
    checked,
    choose,
    clipped,
    frame_of,
    in_frames,
    repaired,
)
from dlcli.data.images.decoding import ImagePolicy, read_header, read_image
from dlcli.data.images.resizing import Resize

RESIZES: tuple[Resize, ...] = get_args(Resize)
SIZES = ((64, 64), (40, 90), (90, 40), (33, 47))  # height, width
NONE = (math.nan,) * 4
WIDE, TALL = Frame(100, 50), Frame(50, 100)


def policy(size: tuple[int, int], resize: Resize) -> ImagePolicy:
    return ImagePolicy(size, "rgb", resize, "bilinear", True)


def boxes_of(frame: Frame, *corners: Corners) -> Boxes:
    return Boxes(np.array(corners, np.float64).reshape(-1, 4), (frame,) * len(corners))


# Into the network's input -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resize", "frame", "box", "expected"),
    [
        ("stretch", WIDE, (10, 20, 30, 40), (0.1, 0.4, 0.3, 0.8)),
        ("stretch", WIDE, (0, 0, 100, 50), (0, 0, 1, 1)),
        ("crop", WIDE, (35, 20, 50, 40), (0.2, 0.4, 0.5, 0.8)),  # x from 25 to 75 remains
        ("crop", WIDE, (10, 20, 50, 40), (0, 0.4, 0.5, 0.8)),
        ("crop", WIDE, (10, 20, 25, 40), NONE),
        ("crop", TALL, (10, 30, 40, 75), (0.2, 0.1, 0.8, 1)),
        ("pad", WIDE, (10, 20, 30, 40), (0.1, 0.45, 0.3, 0.65)),  # y from 0.25 to 0.75 is the image
        ("pad", TALL, (0, 0, 50, 100), (0.25, 0, 0.75, 1)),
        ("pad", WIDE, NONE, NONE),
    ],
)
def test_closed_forms(resize: Resize, frame: Frame, box: Corners, expected: Corners) -> None:
    relative = boxes_of(frame, box).relative(policy((40, 40), resize))
    assert relative.dtype == np.float32
    assert np.allclose(relative[0], expected, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [
        (1, (0.1, 0.4, 0.3, 0.8)),
        (2, (0.7, 0.4, 0.9, 0.8)),  # mirrored left to right
        (3, (0.7, 0.2, 0.9, 0.6)),  # rotated by 180 degrees
        (4, (0.1, 0.2, 0.3, 0.6)),  # upside down
        (5, (0.4, 0.1, 0.8, 0.3)),  # transposed
        (6, (0.2, 0.1, 0.6, 0.3)),  # rotated by 90 degrees clockwise
        (7, (0.2, 0.7, 0.6, 0.9)),  # transposed across the other diagonal
        (8, (0.4, 0.7, 0.8, 0.9)),  # rotated by 90 degrees counterclockwise
    ],
)
def test_each_orientation_is_turned_upright(orientation: int, expected: Corners) -> None:
    boxes = boxes_of(Frame(100, 50, orientation), (10, 20, 30, 40))
    assert np.allclose(boxes.relative(policy((40, 40), "stretch")), [expected], atol=1e-6)


def test_frames_of_many_kinds_at_once() -> None:
    frames = tuple(Frame(60 + i, 40, orientation) for i, orientation in itertools.product(range(3), TURNS))
    corners = np.random.default_rng(0).uniform((0, 0, 30, 20), (25, 15, 60, 40), (len(frames), 4))
    together = Boxes(corners, frames)
    for resize in RESIZES:
        asked = policy((32, 48), resize)
        one_by_one = [
            boxes_of(frame, tuple(row)).relative(asked)[0] for frame, row in zip(frames, corners, strict=True)
        ]
        assert np.array_equal(together.relative(asked), one_by_one, equal_nan=True)
    taken = together.take(np.array([5, 2]))
    assert taken.frames == (frames[5], frames[2])
    assert np.array_equal(taken.corners, corners[[5, 2]])


def test_no_boxes() -> None:
    empty = Boxes(np.zeros((0, 4)), ())
    assert len(empty) == 0
    assert empty.relative(policy((8, 8), "pad")).shape == (0, 4)
    assert in_frames(np.zeros((0, 4)), (), policy((8, 8), "pad")).shape == (0, 4)


def test_columns_have_ten_digits_and_are_empty_without_a_box() -> None:
    boxes = boxes_of(WIDE, (1, 2, 3.5, 0.1 + 0.2), NONE)
    assert boxes.columns() == {"xmin": ["1", ""], "ymin": ["2", ""], "xmax": ["3.5", ""], "ymax": ["0.3", ""]}


# And back -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("orientation", TURNS)
def test_round_trips(resize: Resize, orientation: int) -> None:
    frame = Frame(83, 57, orientation)
    boxes = boxes_of(frame, (38, 26, 45.5, 31.25), (36, 25, 47, 32))  # small and central: inside of every crop
    for size in SIZES:
        asked = policy(size, resize)
        back = in_frames(boxes.relative(asked), boxes.frames, asked)
        assert np.allclose(back, boxes.corners, atol=1e-4)


frames = st.builds(Frame, st.integers(1, 300), st.integers(1, 300), st.sampled_from(sorted(TURNS)))
parts = st.tuples(*[st.floats(0, 1)] * 4)


@st.composite
def boxes_in_frames(draw: st.DrawFn) -> tuple[Frame, Corners]:
    frame = draw(frames)
    x1, x2 = sorted(draw(st.lists(st.floats(0, frame.width), min_size=2, max_size=2)))
    y1, y2 = sorted(draw(st.lists(st.floats(0, frame.height), min_size=2, max_size=2)))
    return frame, (x1, y1, x2, y2)


@given(boxes_in_frames(), st.sampled_from(RESIZES), st.tuples(st.integers(1, 300), st.integers(1, 300)))
def test_the_visible_part_of_a_box_survives_a_round_trip(
    framed: tuple[Frame, Corners], resize: Resize, size: tuple[int, int]
) -> None:
    frame, corners = framed
    asked = policy(size, resize)
    boxes = boxes_of(frame, corners)
    relative = boxes.relative(asked)
    shown = in_frames(np.array([[0, 0, 1, 1]]), (frame,), asked)[
        0
    ]  # the part of the frame that is visible in the input
    visible = [*np.maximum(corners[:2], shown[:2]), *np.minimum(corners[2:], shown[2:])]
    if np.isnan(relative).any():
        assert np.isnan(relative).all()
        assert min(visible[2] - visible[0], visible[3] - visible[1]) < 1e-3 * max(frame.width, frame.height)
    else:
        assert (relative[0, :2] < relative[0, 2:]).all()
        assert relative.min() >= 0
        assert relative.max() <= 1
        unit = 1e-5 * max(frame.width, frame.height) * max(1, *size)  # a visible strip is enlarged
        assert np.allclose(in_frames(relative, (frame,), asked)[0], visible, atol=unit)


@given(frames, parts, st.sampled_from(RESIZES))
def test_predictions_are_clipped_to_the_image(frame: Frame, relative: Corners, resize: Resize) -> None:
    x1, y1, x2, y2 = in_frames(np.array([relative]), (frame,), policy((24, 36), resize))[0]
    assert 0 <= x1 <= x2 <= frame.width
    assert 0 <= y1 <= y2 <= frame.height


# Real images ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("image_format", ["PNG", "JPEG"])
def test_a_bright_rectangle_is_where_its_box_is(
    tmp_path: Path, resize: Resize, orientation: int, image_format: str
) -> None:
    left, top, right, bottom = 40, 16, 64, 48  # of 120x80: visible in every crop below
    pixels = np.zeros((80, 120, 3), np.uint8)
    pixels[top:bottom, left:right] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "image"
    Image.fromarray(pixels).save(path, image_format, exif=exif, **({"quality": 95} if image_format == "JPEG" else {}))
    stored = Frame(*read_header(path))
    assert stored == Frame(120, 80, orientation)
    for size in ((96, 96), (100, 130), (130, 100)):
        asked = policy(size, resize)
        ys, xs = np.nonzero(read_image(path, policy=asked)[:, :, 0] > 127)
        found = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
        relative = boxes_of(stored, (left, top, right, bottom)).relative(asked)[0]
        assert np.allclose(relative * np.array([size[1], size[0]] * 2), found, atol=1.01)
        back = in_frames(np.array([found]) / np.array([size[1], size[0]] * 2), (stored,), asked)[0]
        assert np.allclose(back, (left, top, right, bottom), atol=2.01)
        # the same box, annotated with a program that turns images upright
        upright = frame_of(stored, None)
        whole = policy((upright.height, upright.width), "stretch")
        ys, xs = np.nonzero(read_image(path, policy=whole)[:, :, 0] > 127)
        drawn = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
        assert np.allclose(boxes_of(upright, drawn).relative(asked)[0], relative, atol=1e-6)


# Annotations --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "annotated", "expected"),
    [
        (Frame(100, 50), None, Frame(100, 50)),
        (Frame(100, 50), (100, 50), Frame(100, 50)),
        (Frame(100, 50, 6), None, Frame(50, 100)),
        (Frame(100, 50, 6), (50, 100), Frame(50, 100)),
        (Frame(100, 50, 6), (100, 50), Frame(100, 50, 6)),
        (Frame(100, 50, 3), (100, 50), Frame(100, 50)),  # ambiguous: the upright image, as programs display it
    ],
)
def test_the_frame_follows_from_the_annotated_size(
    stored: Frame, annotated: tuple[int, int] | None, expected: Frame
) -> None:
    assert frame_of(stored, annotated) == expected


def test_another_size_has_no_frame() -> None:
    with pytest.raises(BadBox, match=r"^the annotation is for an image of 50x100, but the image has 100x50$"):
        frame_of(Frame(100, 50), (50, 100))


@pytest.mark.parametrize(
    ("corners", "expected"),
    [
        ((10, 20, 30, 40), (10, 20, 30, 40)),
        ((0, 0, 100, 50), (0, 0, 100, 50)),
        ((-1, -0.5, 101, 50.5), (0, 0, 100, 50)),
        ((99.5, 0, 100.5, 50), (99.5, 0, 100, 50)),
    ],
)
def test_a_valid_box(corners: Corners, expected: Corners) -> None:
    assert checked(corners, WIDE) == expected


@pytest.mark.parametrize(
    ("corners", "reason"),
    [
        ((30, 20, 10, 40), "its corners are swapped: xmin 30 is greater than xmax 10"),
        ((10, 40, 30, 20), "its corners are swapped: ymin 40 is greater than ymax 20"),
        ((10, 20, 10, 40), "its box is empty: it has no area in the image"),
        ((10, 20, 30, 20), "its box is empty: it has no area in the image"),
        ((100, 0, 101, 50), "its box is empty: it has no area in the image"),
        ((-1.5, 0, 30, 40), "its box is outside of the image of 100x50: xmin is -1.5"),
        ((0, 0, 30, 51.5), "its box is outside of the image of 100x50: ymax is 51.5"),
        ((200, 10, 220, 20), "its box is outside of the image of 100x50: xmin is 200"),
    ],
)
def test_a_bad_box(corners: Corners, reason: str) -> None:
    with pytest.raises(BadBox) as error:
        checked(corners, WIDE)
    assert str(error.value) == reason


@pytest.mark.parametrize(
    ("corners", "annotated", "expected"),
    [
        ((30, 40, 10, 20), None, (10, 20, 30, 40)),
        ((-5, 10, 500, 20), None, (0, 10, 100, 20)),
        ((10, 20, 30, 40), (200, 100), (5, 10, 15, 20)),
        ((10, 20, 30, 40), (50, 100), (20, 10, 60, 20)),
        ((10, 20, 30, 40), (100, 50), (10, 20, 30, 40)),
        ((10, 20, 30, 40), (0, 0), (10, 20, 30, 40)),
    ],
)
def test_a_repaired_box(corners: Corners, annotated: tuple[int, int] | None, expected: Corners) -> None:
    assert repaired(corners, WIDE, annotated) == expected


@pytest.mark.parametrize("corners", [(10, 20, 10, 40), (200, 10, 220, 20), (-9, -9, 0, 20)])
def test_what_cannot_be_repaired(corners: Corners) -> None:
    with pytest.raises(BadBox, match="its box is empty: it has no area in the image"):
        repaired(corners, WIDE, None)


numbers = st.floats(-1e6, 1e6)


@given(frames, st.tuples(numbers, numbers, numbers, numbers))
def test_a_repaired_box_is_valid(frame: Frame, corners: Corners) -> None:
    try:
        fixed = repaired(corners, frame, None)
    except BadBox:
        x1, y1, x2, y2 = clipped(corners, frame)
        assert x1 == x2 or y1 == y2
    else:
        assert checked(fixed, frame) == fixed


def test_the_choice_among_several_objects() -> None:
    def found(label: str, corners: Corners | None) -> Object:
        return Object("", label, corners)

    small, large, equal = found("a", (0, 0, 2, 2)), found("b", (0, 0, 3, 3)), found("c", (1, 1, 4, 4))
    none = found("d", None)
    several: Any
    for several in ("largest", "first", "leave_out"):
        assert choose([], several) is None
        assert choose([none], several) is none
    assert choose([small, large, equal], "largest") is large
    assert choose([none, small], "largest") is small
    assert choose([small, large, equal], "first") is small
    assert choose([small, large], "leave_out") is None
