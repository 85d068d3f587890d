"""The baseline of fixed boxes is recorded, and a corrupt one is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from detector_table import samples_of  # type: ignore[import-not-found]

from dlcli.data.boxes.objects import ObjectBoxes, objects_of
from dlcli.errors import InputError
from dlcli.tasks.detection.baseline import baseline_of, from_dict, to_dict

OBJECTS: list[list[tuple[float, ...]]] = [[(10, 10, 50, 30, 0)], [(20, 40, 100, 120, 0), (0, 0, 90, 90, 2)], []]
SIZES = [(100, 50), (200, 200), (10, 30)]


def objects(**marks: np.ndarray) -> ObjectBoxes:
    found = objects_of(samples_of(OBJECTS, SIZES, **marks))
    assert found is not None
    return found


def test_boxes_are_relative_to_their_images_and_marked_objects_are_left_out() -> None:
    found = baseline_of(objects(is_difficult=np.array([False, False, True])), 3)
    np.testing.assert_allclose(found.boxes, [[0.1, 0.2, 0.5, 0.6]])
    assert found.classes.tolist() == [0]
    assert found.scores.tolist() == [pytest.approx(2 / 3, abs=1e-6)]


def test_it_is_read_back() -> None:
    found = baseline_of(objects(), 3)
    values = to_dict(found)
    read = from_dict(values, num_classes=3, place=Path("run.json"))
    for name in ("boxes", "scores", "classes"):
        np.testing.assert_array_equal(getattr(read, name), getattr(found, name))
        assert isinstance(values[name], list)


def test_shapes_are_read_back() -> None:
    shapes = np.random.default_rng(0).random((3, 28, 28)) < 0.5
    values = to_dict(replace(baseline_of(objects(), 3), shapes=shapes))
    found = from_dict(values, num_classes=3, place=Path("run.json"), has_masks=True)
    np.testing.assert_array_equal(found.shapes, shapes)
    assert from_dict(values, num_classes=3, place=Path("run.json")).shapes is None
    for wrong in ({}, {"shapes": values["shapes"][:2]}, {"shapes": [["#."], ["#", "."], ["##", ".."]]}, {"shapes": 5}):
        with pytest.raises(InputError, match=r"^run\.json: is corrupt"):
            from_dict({**values, "shapes": None, **wrong}, num_classes=3, place=Path("run.json"), has_masks=True)


@pytest.mark.parametrize(
    "change",
    [
        {"boxes": [[0, 0, 1]]},
        {"boxes": "many"},
        {"scores": [2.0, 0.5]},
        {"classes": [0, 3]},
        {"classes": [0]},
        {"boxes": [[1, 0, 0, 1], [0, 0, 1, 1]]},
    ],
)
def test_a_corrupt_one_is_refused(change: dict[str, Any]) -> None:
    values = to_dict(baseline_of(objects(), 3)) | change
    with pytest.raises(InputError, match=r"^run\.json: is corrupt"):
        from_dict(values, num_classes=3, place=Path("run.json"))
    with pytest.raises(InputError):
        from_dict({}, num_classes=3, place=Path("run.json"))
