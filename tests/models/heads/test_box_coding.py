"""Boxes relative to other boxes."""

import numpy as np

from dlcli.models.heads.box_coding import MOST_GROWTH, decoded, encoded


def some_boxes(num: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    first = rng.uniform(-0.2, 0.9, (num, 2))
    return np.concatenate([first, first + rng.uniform(0.01, 0.6, (num, 2))], axis=1).astype("float32")


def parts(boxes: np.ndarray) -> dict[str, np.ndarray]:
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    return {"x": boxes[:, 0] + width / 2, "y": boxes[:, 1] + height / 2, "width": width, "height": height}


def test_decoding_inverts_encoding() -> None:
    boxes, others = some_boxes(50, 0), some_boxes(50, 1)
    np.testing.assert_allclose(decoded(encoded(boxes, others), **parts(others)), boxes, atol=1e-6)


def test_an_example_by_hand() -> None:
    boxes, others = np.float32([[0.3, 0.2, 0.5, 0.6]]), np.float32([[0.2, 0.2, 0.6, 0.4]])
    np.testing.assert_allclose(encoded(boxes, others), [[0.0, 0.5, np.log(0.5), np.log(2.0)]], atol=1e-6)


def test_large_growth_is_bounded() -> None:
    box = np.asarray(decoded(np.float32([[0, 0, 90, 90]]), **parts(np.float32([[0, 0, 1, 1]]))))
    np.testing.assert_allclose(box[:, 2:] - box[:, :2], np.exp(MOST_GROWTH), rtol=1e-5)
