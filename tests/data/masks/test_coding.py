"""What values and colors mean."""

import numpy as np
import pytest

from dlcli.data.masks.coding import (
    IGNORED,
    ColorCoding,
    ValueCoding,
    black_and_white,
    by_color,
    by_index,
    by_value,
    foreground,
)


def values(*numbers: int) -> np.ndarray:
    return np.array([numbers], np.uint16)


def test_indices() -> None:
    encoded = by_index(["sky", "road", "car"], ignore=[11, 255]).encode(values(0, 1, 2, 11, 255))
    assert encoded.mask.tolist() == [[0, 1, 2, IGNORED, IGNORED]]
    assert encoded.mask.dtype == np.uint8
    assert encoded.undeclared == ()
    assert encoded.num_undeclared == 0


def test_values_without_a_meaning_are_listed_and_counted() -> None:
    encoded = by_index(["sky", "road"]).encode(values(0, 1, 7, 7, 300))
    assert encoded.undeclared == ("7", "300")
    assert encoded.num_undeclared == 3
    assert encoded.mask.tolist() == [[0, 1, IGNORED, IGNORED, IGNORED]]


def test_at_most_eight_are_listed() -> None:
    encoded = by_index(["sky"]).encode(values(*range(20)))
    assert len(encoded.undeclared) == 8
    assert encoded.num_undeclared == 19


def test_each_class_may_have_its_own_value() -> None:
    coding = by_value({"pet": 1, "background": 2, "outline": 1000}, ignore=[3])
    assert coding.classes == ("pet", "background", "outline")
    assert coding.encode(values(2, 1, 3, 1000)).mask.tolist() == [[1, 0, IGNORED, 2]]
    assert coding.encode(values(0)).undeclared == ("0",)


def test_black_and_white() -> None:
    assert black_and_white(["membrane", "cell"]).encode(values(0, 255)).mask.tolist() == [[0, 1]]
    assert black_and_white(["membrane", "cell"]).encode(values(0, 254)).undeclared == ("254",)


def test_every_id_of_an_instance_is_foreground() -> None:
    coding = foreground("person", ignore=[65535])
    assert coding.classes == ("background", "person")
    assert coding.encode(values(0, 1, 2, 300, 65535)).mask.tolist() == [[0, 1, 1, 1, IGNORED]]


def test_colors() -> None:
    coding = by_color({"sky": (0, 0, 255), "road": (128, 64, 128)}, ignore=[(0, 0, 0)])
    colors = np.array([[[128, 64, 128], [0, 0, 255], [0, 0, 0], [1, 2, 3], [1, 2, 3]]], np.uint8)
    encoded = coding.encode(colors)
    assert encoded.mask.tolist() == [[1, 0, IGNORED, IGNORED, IGNORED]]
    assert encoded.undeclared == ("[1, 2, 3]",)
    assert encoded.num_undeclared == 2


def test_only_two_values_far_from_each_other_survive_lossy_compression() -> None:
    assert foreground("person").threshold == 128
    assert black_and_white(["a", "b"]).threshold == 128
    assert by_index(["a", "b"]).threshold is None
    assert by_color({"a": (0, 0, 0)}).threshold is None


def test_limits() -> None:
    names = [f"class {i}" for i in range(256)]
    assert by_index(names[:255]).encode(values(254)).mask.tolist() == [[254]]
    with pytest.raises(ValueError, match=r"from 1 to 255 classes\. Received 256"):
        by_index(names)
    with pytest.raises(ValueError, match="must be different"):
        by_index(["a", "a"])
    with pytest.raises(ValueError, match=r"from 0 to 65535\. Received 65536"):
        by_value({"a": 65536})
    with pytest.raises(ValueError, match="one value"):
        ValueCoding(("a", "b"), (0,))
    with pytest.raises(ValueError, match="one color"):
        ColorCoding(("a", "b"), ((0, 0, 0),))
