"""The outputs of saved detectors: against a plain computation, saved and loaded without this program."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from detectors import NUM_CLASSES, detector, greedy, images, like_a_detectors  # type: ignore[import-not-found]

from dlcli.models.heads.detection_outputs import CANDIDATES, detection_outputs

OPTIONS: dict[str, Any] = {
    "score": 0.3,
    "iou": 0.5,
    "nms": "greedy",
    "max_boxes": 12,
    "num_candidates": 40,
    "class_agnostic": False,
}


def run(scores: list[np.ndarray], boxes: list[np.ndarray], **keys: Any) -> dict[str, np.ndarray]:
    """The outputs and candidates for scores ``[b, n, c]`` and boxes ``[b, n, 4]`` of several levels."""
    inputs = [keras.Input(x.shape[1:]) for x in (*scores, *boxes)]
    of_scores, of_boxes = (dict(enumerate(part)) for part in (inputs[: len(scores)], inputs[len(scores) :]))
    final = detection_outputs(of_scores, of_boxes, **{**OPTIONS, **keys})
    model = keras.Model(inputs, final)
    more = {name: model.get_layer(name).output for name in CANDIDATES}
    found = keras.Model(inputs, final | more)([*scores, *boxes])
    return {name: np.asarray(values) for name, values in found.items()}


def problem(seed: int = 0, num_images: int = 10) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Two levels; the boxes of some reach beyond the image."""
    rng = np.random.default_rng(seed)
    boxes = like_a_detectors(num_images, 70, seed)[0] * 1.2 - 0.1
    scores = rng.uniform(0, 1, (num_images, 70, NUM_CLASSES)).astype("float32") ** 2
    return [scores[:, :50], scores[:, 50:]], [boxes[:, :50], boxes[:, 50:]]


def plain(scores: np.ndarray, boxes: np.ndarray, **keys: Any) -> list[tuple[float, int, tuple[float, ...]]]:
    """The detections of one image, by loops."""
    options = {**OPTIONS, **keys}
    pairs = [(s, c, i) for i, of_position in enumerate(scores) for c, s in enumerate(of_position)]
    pairs = sorted((pair for pair in pairs if pair[0] >= options["score"]), key=lambda pair: -pair[0])
    pairs = pairs[: options["num_candidates"]]
    corners = boxes.clip(0, 1)[[i for _, _, i in pairs]].reshape(-1, 4)
    classes = np.array([c for _, c, _ in pairs])
    keep = np.ones(len(pairs), bool)
    if options["nms"] == "greedy":
        keep = greedy(corners, classes, iou=options["iou"], class_agnostic=options["class_agnostic"])
    found = [(float(s), c, tuple(corners[k].tolist())) for k, (s, c, _) in enumerate(pairs) if keep[k]]
    return found[: options["max_boxes"]]


@pytest.mark.parametrize(
    "keys", [{}, {"class_agnostic": True}, {"nms": "none"}, {"score": 0.9}, {"max_boxes": 40, "iou": 0.2}]
)
def test_detections_are_those_of_a_plain_computation(keys: dict[str, Any]) -> None:
    scores, boxes = problem()
    found = run(scores, boxes, **keys)
    assert {name: values.dtype.name for name, values in found.items()} == {
        "boxes": "float32",
        "scores": "float32",
        "classes": "int32",
        "count": "int32",
        "candidate_boxes": "float32",
        "candidate_scores": "float32",
        "candidate_classes": "int32",
    }
    for i in range(len(scores[0])):
        expected = plain(np.concatenate([x[i] for x in scores]), np.concatenate([x[i] for x in boxes]), **keys)
        count = found["count"][i]
        rows = zip(found["scores"][i], found["classes"][i], found["boxes"][i].tolist(), strict=True)
        assert [(float(s), int(c), tuple(b)) for s, c, b in rows][:count] == expected
        assert (found["classes"][i, count:] == -1).all()
        assert not found["scores"][i, count:].any()
        assert not found["boxes"][i, count:].any()
    assert found["count"].max() > 0


def test_candidates_are_what_suppression_takes() -> None:
    scores, boxes = problem()
    found = run(scores, boxes)
    for i in range(len(scores[0])):
        keep = greedy(found["candidate_boxes"][i], found["candidate_classes"][i], iou=0.5, class_agnostic=False)
        keep &= found["candidate_scores"][i] > 0
        np.testing.assert_array_equal(found["candidate_scores"][i][keep][:12], found["scores"][i, : keep.sum()][:12])
    assert ((found["candidate_scores"] > 0) == (found["candidate_classes"] >= 0)).all()


def test_soft_suppression_sorts_anew_and_drops_low_scores() -> None:
    scores, boxes = problem()
    found, before = run(scores, boxes, nms="soft", max_boxes=40), run(scores, boxes, nms="none", max_boxes=40)
    assert (np.diff(found["scores"], axis=1) <= 0).all()
    assert (found["count"] < before["count"]).all()
    assert found["scores"][found["scores"] > 0].min() >= 0.3
    np.testing.assert_array_equal(found["scores"][:, 0], before["scores"][:, 0])


def test_fewer_positions_than_boxes() -> None:
    scores, boxes = np.float32([[[0.9, 0.1], [0.2, 0.8]]]), np.float32([[[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]]])
    found = run([scores], [boxes])
    assert found["boxes"].shape == (1, 12, 4)
    assert found["count"].tolist() == [2]
    assert found["classes"][0, :3].tolist() == [0, 1, -1]


def test_no_detection_at_all() -> None:
    found = run([np.zeros((2, 9, 3), "float32")], [np.zeros((2, 9, 4), "float32")])
    assert found["count"].tolist() == [0, 0]
    assert (found["classes"] == -1).all()


LOAD = """
import sys, keras, numpy as np
model = keras.models.load_model(sys.argv[1], safe_mode=True)
assert not any(name.split(".")[0] == "dlcli" for name in sys.modules)
found = model(np.load(sys.argv[2]))
np.savez(sys.argv[3], **found, candidates=model.get_layer("candidate_scores").output.shape[1:])
"""


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "nms"), [("fcos", "greedy"), ("retinanet", "soft")])
def test_saved_models_load_without_this_program(kind: str, nms: str, tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    inputs, outputs = detector(kind)
    final = detection_outputs(outputs.scores, outputs.boxes, **{**OPTIONS, "score": 0.01, "nms": nms})
    model = keras.Model(inputs, final)
    model.save(tmp_path / "model.keras")
    assert (tmp_path / "model.keras").stat().st_size < 10 * model.count_params() + 500_000
    np.save(tmp_path / "x.npy", images())
    command = [sys.executable, "-c", LOAD, *(str(tmp_path / name) for name in ("model.keras", "x.npy", "found.npz"))]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    with np.load(tmp_path / "found.npz") as found:
        for name, values in model(images()).items():
            np.testing.assert_allclose(found[name], values, atol=1e-6)
        assert found["candidates"].tolist() == [40]
        assert found["count"].min() > 0
