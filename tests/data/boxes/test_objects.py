"""The objects of each image: taking samples, the network's input, columns."""

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest

from dlcli.data.boxes.boxes import TURNS, Boxes, Corners, Frame, in_frames
from dlcli.data.boxes.objects import NAME, ObjectBoxes, objects_of
from dlcli.data.images.decoding import ImagePolicy
from dlcli.data.images.resizing import Resize
from dlcli.data.images.samples import Samples

RESIZES: tuple[Resize, ...] = get_args(Resize)
WIDE, TALL = Frame(100, 50), Frame(50, 100)


def policy(size: tuple[int, int], resize: Resize) -> ImagePolicy:
    return ImagePolicy(size, "rgb", resize, "bilinear", True)


def make(*images: list[Corners], frame: Frame = WIDE, **changes: Any) -> ObjectBoxes:
    """Objects of images of one frame, of classes 0, 1, 2, …"""
    corners = np.array([box for boxes in images for box in boxes], np.float64).reshape(-1, 4)
    sides = corners[:, 2:] - corners[:, :2]
    none = np.zeros(len(corners), np.bool_)
    offsets = np.cumsum([0, *map(len, images)]).astype(np.int64)
    made = ObjectBoxes(
        corners=corners,
        labels=np.arange(len(corners), dtype=np.int32),
        is_crowd=none,
        is_difficult=none,
        areas=sides[:, 0] * sides[:, 1],
        offsets=offsets,
        frames=(frame,) * len(images),
    )
    return replace(made, **changes)


A, B, C, D = (10.0, 20.0, 30.0, 40.0), (50.0, 0.0, 60.0, 50.0), (0.0, 0.0, 100.0, 50.0), (35.0, 5.0, 45.0, 9.0)


def test_each_image_has_its_objects() -> None:
    objects = make([A, B], [], [C])
    assert len(objects) == 3
    assert objects.counts.tolist() == [2, 0, 1]
    assert objects.owners.tolist() == [0, 0, 2]
    assert objects.most_trained == 2
    assert replace(objects, is_difficult=np.array([True, False, False])).most_trained == 1
    assert replace(objects, is_crowd=np.array([True] * 3)).most_trained == 0


@pytest.mark.parametrize("index", [[], [1], [2, 0], [0, 0, 2, 1], [1, 1]])
def test_taking_samples_takes_their_objects(index: list[int]) -> None:
    images: list[list[Corners]] = [[A, B], [], [C, D, A]]
    objects = make(*images, is_crowd=np.array([0, 1, 0, 0, 1], np.bool_))
    taken = objects.take(np.array(index, np.int64))
    assert len(taken) == len(index)
    assert taken.counts.tolist() == [len(images[i]) for i in index]
    assert [tuple(row) for row in taken.corners.tolist()] == [box for i in index for box in images[i]]
    expected = np.concatenate([np.arange(5)[objects.offsets[i] : objects.offsets[i + 1]] for i in index] or [[]])
    assert taken.labels.tolist() == expected.tolist()
    assert taken.is_crowd.tolist() == [label in (1, 4) for label in expected]
    assert taken.areas.tolist() == objects.areas[expected.astype(int)].tolist()


def test_no_objects_at_all() -> None:
    objects = make([], [])
    assert objects.columns()["objects"] == ["0", "0"]
    assert objects.most_trained == 0
    target = objects.target(policy((10, 10), "stretch"))
    assert target.slots == 1
    assert objects.take(np.array([1])).counts.tolist() == [0]
    assert make().most_trained == 0
    assert len(make().take(np.array([], np.int64))) == 0


def test_any_change_of_an_object_changes_the_digest_of_its_image_alone() -> None:
    objects = make([A, B], [], [C])
    digests = objects.columns()["objects_digest"]
    assert objects.columns()["objects"] == ["2", "0", "1"]
    assert len({*digests}) == 3
    for changes in (
        {"corners": objects.corners + np.array([[0], [1e-9], [0]])},
        {"labels": np.array([0, 2, 2], np.int32)},
        {"is_crowd": np.array([False, True, False])},
        {"is_difficult": np.array([False, True, False])},
        {"areas": objects.areas + np.array([0, 1, 0])},
    ):
        changed = replace(objects, **changes).columns()["objects_digest"]
        assert changed[0] != digests[0], changes
        assert changed[1:] == digests[1:], changes
    assert make([A, B], [], [C]).columns() == objects.columns()


# In the network's input ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("orientation", TURNS)
def test_boxes_are_where_those_of_localization_are(resize: Resize, orientation: int) -> None:
    """By the same maps, EXIF orientations included; and the way back is exact."""
    frame = Frame(83, 57, orientation)
    boxes: list[Corners] = [(38, 26, 45.5, 31.25), (36, 25, 47, 32)]  # small and central: inside of every crop
    objects = make(boxes, [], [boxes[1]], frame=frame)
    for size in ((64, 64), (40, 90), (90, 40)):
        asked = policy(size, resize)
        single = Boxes(objects.corners, (frame,) * 3).relative(asked)
        target = objects.target(asked)
        np.testing.assert_array_equal(target.boxes, single)
        assert target.labels.tolist() == [0, 1, 2]
        assert target.offsets.tolist() == [0, 2, 2, 3]
        back = in_frames(target.boxes, (frame,) * 3, asked)
        np.testing.assert_allclose(back, objects.corners, atol=1e-4)


@pytest.mark.parametrize(
    ("resize", "box", "least", "expected"),
    [
        ("crop", (35, 20, 50, 40), 0.3, (0.2, 0.4, 0.5, 0.8)),  # x from 25 to 75 remains
        ("crop", (10, 20, 50, 40), 0.3, (0, 0.4, 0.5, 0.8)),  # 25 of 40 are left
        ("crop", (10, 20, 50, 40), 0.63, None),
        ("crop", (0, 20, 35, 40), 0.3, None),  # 10 of 35
        ("crop", (0, 20, 35, 40), 0.0, (0, 0.4, 0.2, 0.8)),
        ("crop", (0, 20, 25, 40), 0.0, None),  # nothing
        ("stretch", (0, 20, 35, 40), 1.0, (0, 0.4, 0.35, 0.8)),
        ("pad", (0, 0, 100, 50), 1.0, (0, 0.25, 1, 0.75)),
    ],
)
def test_a_box_of_which_too_little_is_left_by_the_crop_is_dropped(
    resize: Resize, box: Corners, least: float, expected: Corners | None
) -> None:
    whole = (40.0, 10.0, 60.0, 40.0)
    objects = make([box, whole], [box], min_visible=least)
    target = objects.target(policy((20, 20), resize))
    kept = [] if expected is None else [expected]
    assert target.offsets.tolist() == [0, len(kept) + 1, 2 * len(kept) + 1]
    np.testing.assert_allclose(target.boxes[[0, -1] if kept else []], np.array(kept * 2).reshape(-1, 4), atol=1e-6)
    assert target.num_dropped == 2 - 2 * len(kept)


@pytest.mark.parametrize("width", range(50, 60))
def test_a_whole_box_is_kept_although_rounding_moves_an_edge_out_of_the_image(width: int) -> None:
    objects = make([(0, 0, width, 30), (width - 3.3, 24.9, width, 30)], frame=Frame(width, 30), min_visible=1.0)
    assert objects.target(policy((96, 120), "stretch")).num_dropped == 0


def test_crowds_and_difficult_objects_are_not_trained_on() -> None:
    objects = make(
        [A, B, C, D],
        [A],
        is_crowd=np.array([1, 0, 0, 0, 1], np.bool_),
        is_difficult=np.array([0, 0, 1, 0, 0], np.bool_),
    )
    target = objects.target(policy((50, 100), "stretch"))
    assert target.labels.tolist() == [1, 3]
    assert target.offsets.tolist() == [0, 2, 2]
    assert target.slots == 2
    assert target.num_dropped == 0


def test_the_room_of_a_row_is_the_splits_most_or_what_is_given() -> None:
    asked = policy((10, 10), "stretch")
    assert make([A, B], [C]).target(asked).slots == 2
    assert make([A, B], [C], slots=7).target(asked).slots == 7
    assert make([A, B], [C], slots=7).take(np.array([1])).target(asked).slots == 7


def test_samples_have_objects_or_none() -> None:
    def samples(annotations: dict[str, ObjectBoxes]) -> Samples:
        return Samples(
            names=("a",),
            labels=np.array([-1], np.int32),
            digests=("",),
            groups=None,
            policy=policy((8, 8), "stretch"),
            pixels=np.zeros((1, 8, 8, 3), np.uint8),
            annotations=annotations,
        )

    objects = make([A, B])
    assert objects_of(samples({NAME: objects})) is objects
    assert objects_of(samples({})) is None
