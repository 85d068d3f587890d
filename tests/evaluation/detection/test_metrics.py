"""The measures of a split by name, and the rows of each class."""

import numpy as np
import pytest
from scenes import one_image, scenes

from dlcli.evaluation.detection.errors import KINDS
from dlcli.evaluation.detection.metrics import assess_from, metrics, metrics_from, neglect, per_class, score

CLASSES = ("cat", "dog", "bird", "cow")


def test_measures_of_random_scenes() -> None:
    detections, truth = scenes(0)
    scores = score(detections, truth, num_classes=4)
    found = metrics(scores)
    assert list(found) == [
        *("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large"),
        *("ar1", "ar10", "ar100", "ar_small", "ar_medium", "ar_large", "voc_ap50"),
    ]
    assert found["ap"] < found["ap50"]
    assert found["ap"] == scores.coco.ap()
    assert found["voc_ap50"] == pytest.approx(scores.voc[:3].mean())


def test_measures_that_no_object_defines_are_left_out() -> None:
    small = one_image([(0, 0, 9, 9, 0.5, 0)], [(0, 0, 9, 9, 0)])
    assert set(metrics(score(*small, num_classes=1))) == {
        *("ap", "ap50", "ap75", "ap_small", "ar1", "ar10", "ar100", "ar_small", "voc_ap50"),
    }
    assert metrics(score(*one_image([(0, 0, 9, 9, 0.5, 0)], []), num_classes=1)) == {}


def test_measures_from_a_score_on() -> None:
    objects = [(0, 0, 10, 10, 0), (50, 0, 60, 10, 0), (100, 0, 110, 10, 1)]
    found = [(*objects[0][:4], 0.9, 0), (*objects[1][:4], 0.3, 0), (200, 0, 210, 10, 0.8, 0)]
    kept, assessment = assess_from(*one_image(found, objects), 0.5, num_classes=4)
    assert len(kept) == 2
    result = metrics_from(assessment, CLASSES)
    # cat: 1 of 2 found, 1 false; dog: missed; the others are absent
    assert result["precision"] == pytest.approx((1 / 2 + 0) / 2)
    assert result["recall"] == pytest.approx((1 / 2 + 0) / 2)
    assert result["f1"] == pytest.approx((2 / 4 + 0) / 2)
    assert result["errors"] == {**dict.fromkeys(KINDS, 0), "background": 1, "missed": 2}
    assert result["absent_classes"] == ["bird", "cow"]
    assert result["confusion_matrix"][0] == [1, 0, 0, 0, 1]
    none = metrics_from(assess_from(*one_image([], []), 0.5, num_classes=1)[1], ["cat"])
    assert "f1" not in none


def test_rows_of_classes() -> None:
    detections, truth = scenes(0)
    scores = score(detections, truth, num_classes=4)
    _, assessment = assess_from(detections, truth, 0.4, num_classes=4)
    rows = per_class(scores, assessment, CLASSES, baseline=scores)
    result = metrics(scores)
    for name in ("ap", "ap50", "ap75", "ar100", "voc_ap50"):
        assert np.mean([row[name] for row in rows[:3]]) == pytest.approx(result[name])
    for name in ("precision", "recall", "f1"):
        assert np.mean([row[name] for row in rows[:3]]) == pytest.approx(metrics_from(assessment, CLASSES)[name])
    assert [row["objects"] for row in rows] == truth.counts(4).tolist()
    assert [row["category_id"] for row in rows] == [1, 2, 3, 4]
    assert rows[0]["baseline_ap50"] == rows[0]["ap50"]
    absent = {"class", "category_id", "objects", "detections"}
    assert {name for name, value in rows[3].items() if value is not None} == absent
    assert "baseline_ap50" not in per_class(scores, assessment, CLASSES)[0]


def test_classes_that_are_never_found() -> None:
    rows = [{"class": "cat", "ap": 0.0}, {"class": "dog", "ap": 0.3}, {"class": "bird", "ap": None}]
    assert neglect(rows) == "1 class has an AP of 0: 'cat'"
    assert neglect(rows[1:]) == ""
    assert neglect([{"class": str(i), "ap": 0.0} for i in range(7)]).endswith("'4' and 2 more")
