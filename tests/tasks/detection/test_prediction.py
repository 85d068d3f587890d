"""Predicted objects as rows, tables and crops, and warnings of too many of them."""

from pathlib import Path

import numpy as np
import pytest
from detector_table import CLASSES, detector_of, samples_of  # type: ignore[import-not-found]

from dlcli.runtime.console import Console
from dlcli.tasks.detection import prediction
from dlcli.tasks.detection.detecting import with_detections
from dlcli.tasks.images.batches import predict_batches
from dlcli.tasks.task import PredictionRequest

CANDIDATES = np.array([[[0.1, 0.2, 0.5, 0.6], [0.5, 0.5, 1.0, 1.0], [0.0, 0.8, 0.2, 1.0]]] * 2, np.float32)
SCORES = np.array([[0.9, 0.4, 0.2], [0.8, 0.7, 0.0]], np.float32)
LABELS = np.array([[0, 0, 1], [2, 2, -1]], np.int32)


def predicted(score: float | None, capsys: pytest.CaptureFixture[str]) -> tuple[list[int], list[str]]:
    """The number of objects of each image, and the warnings."""
    request = PredictionRequest((), (), 3, score=score, crops=Path("crops"))
    network = with_detections(detector_of(CANDIDATES, SCORES, LABELS), has_masks=False)
    found = prediction.predict(
        lambda images: predict_batches(network, images, batch_size=2, console=Console(quiet=True)),
        samples_of([[]] * 2, [(100, 50), (60, 60)]),
        classes=CLASSES,
        threshold=0.5,
        request=request,
        console=Console(quiet=False),
    )
    warnings = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert found.crops is not None
    assert [position for position, _ in found.crops] == [i for i in (0, 1) for _ in found.rows[i]["objects"]]
    return [len(row["objects"]) for row in found.rows], warnings


def test_a_score_below_the_threshold_makes_more_crops_which_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert predicted(None, capsys) == ([1, 2], [])
    assert predicted(0.75, capsys) == ([1, 1], [])
    numbers, warnings = predicted(0.1, capsys)
    assert numbers == [3, 2]
    assert warnings[0].endswith(
        "--crops: 5 crops are written, because --score 0.1 is below this model's threshold of 0.5, from which on there "
        "are 3"
    )


def test_many_crops_of_each_image_are_said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction, "MANY_CROPS", 1)
    assert predicted(None, capsys)[1][0].endswith(
        "--crops: 3 crops are written, 2 for each image: a higher --score gives fewer"
    )
