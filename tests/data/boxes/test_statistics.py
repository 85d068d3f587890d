"""Counts of objects by class, image and size, and boxes that are nearly the same."""

import numpy as np

from dlcli.data.boxes.boxes import Frame
from dlcli.data.boxes.objects import NAME, ObjectBoxes
from dlcli.data.boxes.statistics import count_objects, nearly_same
from dlcli.data.images.samples import Samples


def make(corners: list[tuple[float, ...]], labels: list[int], counts: list[int], crowds: list[int] = []) -> ObjectBoxes:  # noqa: B006
    boxes = np.array(corners, np.float64).reshape(-1, 4)
    is_crowd = np.zeros(len(boxes), np.bool_)
    is_crowd[crowds] = True
    return ObjectBoxes(
        corners=boxes,
        labels=np.array(labels, np.int32),
        is_crowd=is_crowd,
        is_difficult=np.zeros(len(boxes), np.bool_),
        areas=(boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]),
        offsets=np.cumsum([0, *counts]).astype(np.int64),
        frames=(Frame(200, 200),) * len(counts),
    )


def samples(annotations: dict[str, ObjectBoxes], num: int) -> Samples:
    return Samples(
        names=tuple(map(str, range(num))),
        labels=np.full(num, -1, np.int32),
        digests=("",) * num,
        groups=None,
        policy=None,
        pixels=np.zeros((num, 1)),
        annotations=annotations,
    )


def test_objects_are_counted_by_class_image_and_size() -> None:
    objects = make(
        [(0, 0, 32, 31), (0, 0, 32, 32), (0, 0, 96, 95), (0, 0, 96, 96), (0, 0, 200, 100), (5, 5, 9, 9)],
        [0, 0, 1, 0, 1, 1],
        [3, 0, 3],
        crowds=[5],
    )
    found = count_objects({"train": samples({NAME: objects}, 3), "test": samples({}, 1)}, 3)
    assert set(found) == {"train"}
    train = found["train"]
    assert train.boxes.tolist() == [3, 2, 0]
    assert train.images.tolist() == [2, 2, 0]
    assert train.per_image.tolist() == [3, 0, 2]
    assert train.sizes.tolist() == [1, 2, 2]
    assert train.ratios.tolist()[-1] == 2
    assert (train.crowds, train.difficult) == (1, 0)


def test_no_objects() -> None:
    found = count_objects({"train": samples({NAME: make([], [], [0, 0])}, 2)}, 2)["train"]
    assert found.boxes.tolist() == found.images.tolist() == found.per_image.tolist() == [0, 0]
    assert found.sizes.tolist() == [0, 0, 0]


def test_nearly_equal_boxes_are_found_in_their_image() -> None:
    box, near, far = (0, 0, 100, 100), (0, 0, 100, 96), (0, 0, 100, 94)
    objects = make(
        [box, near, box, far, box, near, box, near, box],
        [0, 0, 0, 0, 0, 1, 0, 0, 0],
        [2, 2, 2, 2, 1],
        crowds=[6],
    )
    assert nearly_same(objects) == ([0], [2])
