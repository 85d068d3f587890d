"""The numbers that boxes add to an evaluation, against cases worked out by hand and against training's and Keras's."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from dlcli.evaluation.localization import (
    CORNERS,
    THRESHOLDS,
    best_median_worst,
    center_distances,
    intersection_over_union,
    metrics,
    per_class,
    predictions,
)
from dlcli.training.objectives import localization as localization_objectives

NO_BOX = (np.nan,) * 4

# Two classes in images of 30x40, whose diagonal is 50. The IoUs are 1, 0.6, 0.25 and 0.5; the last sample has no box.
LABELS = np.array([0, 0, 1, 1, 1], np.int32)
RANKS = np.array([0, 1, 0, 0, 0])  # only the second prediction is wrong
TRUE = np.array([(0, 0, 10, 10), (0, 0, 10, 10), (0, 0, 20, 20), (10, 10, 20, 20), NO_BOX], np.float64)
PREDICTED = np.array([(0, 0, 10, 10), (0, 0, 6, 10), (0, 0, 10, 10), (10, 10, 30, 20), (1, 2, 3, 4)], np.float64)
SIZES = np.array([[30, 40]] * 5)


def random_boxes(num: int, seed: int) -> np.ndarray:
    corners = np.random.default_rng(seed).uniform(0, 1000, (num, 2, 2))
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


def test_overlaps_are_those_of_training_and_of_keras() -> None:
    a, b = random_boxes(300, 0), random_boxes(300, 1)
    b[:5] = a[:5]
    ours = intersection_over_union(a, b)
    assert 0.3 < (ours > 0).mean() < 1
    np.testing.assert_allclose(ours[:5], 1)
    one, other = (tf.constant(boxes / 1000, tf.float32) for boxes in (a, b))
    np.testing.assert_allclose(ours, localization_objectives.intersection_over_union(one, other), atol=1e-4)
    np.testing.assert_allclose(
        ours, np.diag(np.asarray(keras.utils.bounding_boxes.compute_iou(a, b, "xyxy"))), atol=1e-4
    )
    np.testing.assert_array_equal(ours, intersection_over_union(b, a))
    assert localization_objectives.LOCALIZED == THRESHOLDS[0] == 0.5


def test_overlaps_of_boxes_without_an_area_and_of_none() -> None:
    a = np.array([(5, 5, 5, 5), (5, 5, 5, 9), (0, 0, 9, 9), NO_BOX], np.float64)
    b = np.array([(5, 5, 5, 5), (0, 0, 9, 9), (3, 3, 3, 3), (0, 0, 9, 9)], np.float64)
    np.testing.assert_array_equal(intersection_over_union(a, b), [0, 0, 0, np.nan])
    np.testing.assert_array_equal(intersection_over_union(b, a), [0, 0, 0, np.nan])
    assert intersection_over_union(a[:0], b[:0]).shape == (0,)


def test_a_case_by_hand() -> None:
    result = metrics(RANKS, 2, TRUE, PREDICTED, SIZES)
    # right classes: the first, third and fourth; their IoUs: 1, 0.25 and 0.5
    curve = [[0.5, 2 / 4], *([threshold, 1 / 4] for threshold in THRESHOLDS[1:])]
    centers = [0, 2, np.hypot(5, 5), 5]
    assert result == {
        "boxes": 4,
        "mean_iou": pytest.approx((1 + 0.6 + 0.25 + 0.5) / 4),
        "median_iou": pytest.approx((0.6 + 0.5) / 2),
        "localization_accuracy": 0.5,
        "localization_error": 0.5,
        "box_accuracy": 0.75,
        "localization_accuracy_50_95": pytest.approx((0.5 + 9 * 0.25) / 10),
        "center_error": pytest.approx(np.mean(centers) / 50),
        "localization_curve": curve,
    }
    assert THRESHOLDS == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_samples_without_a_box_do_not_count() -> None:
    result = metrics(RANKS, 2, TRUE, PREDICTED, SIZES)
    assert result == metrics(RANKS[:4], 2, TRUE[:4], PREDICTED[:4], SIZES[:4])
    other = np.vstack([PREDICTED[:4], (0, 0, 30, 40)])
    assert result == metrics(RANKS, 2, TRUE, other, SIZES)


@pytest.mark.parametrize("num", [0, 1, 3])
def test_without_any_box_there_is_nothing_else(num: int) -> None:
    none = np.full((num, 4), np.nan)
    assert metrics(np.zeros(num, np.int32), 7, none, np.zeros((num, 4)), np.ones((num, 2))) == {"boxes": 0}


def test_the_curve_begins_with_the_accuracy_falls_and_has_the_mean() -> None:
    true = random_boxes(400, 2)
    predicted = true + np.random.default_rng(3).normal(0, 30, true.shape)
    result = metrics((np.arange(400) % 5 == 0).astype(np.int32), 3, true, predicted, np.full((400, 2), 1000))
    thresholds, accuracies = zip(*result["localization_curve"], strict=True)
    assert thresholds == THRESHOLDS
    assert accuracies[0] == result["localization_accuracy"]
    assert 0 < accuracies[-1] < accuracies[0] < result["box_accuracy"] < 1
    assert list(accuracies) == sorted(accuracies, reverse=True)
    assert result["localization_accuracy_50_95"] == pytest.approx(np.mean(accuracies))
    assert result["localization_error"] == pytest.approx(1 - result["localization_accuracy"])


def test_top_5_asks_for_the_class_among_five_and_for_the_box() -> None:
    ranks = np.array([0, 4, 5, 4], np.int32)  # most probable, fifth, sixth, fifth
    true = np.tile([0.0, 0, 10, 10], (4, 1))
    predicted = np.array([(0, 0, 10, 10), (0, 0, 10, 10), (0, 0, 10, 10), (0, 0, 10, 4)], np.float64)
    result = metrics(ranks, 6, true, predicted, SIZES[:4])
    assert result["localization_accuracy"] == 1 / 4
    assert result["top_5_localization_accuracy"] == 2 / 4
    assert result["box_accuracy"] == 3 / 4


@pytest.mark.parametrize("num_classes", [1, 2, 5, 6])
def test_top_5_is_for_more_than_five_classes(num_classes: int) -> None:
    result = metrics(np.zeros(2, np.int32), num_classes, TRUE[:2], PREDICTED[:2], SIZES[:2])
    assert ("top_5_localization_accuracy" in result) == (num_classes > 5)


def test_centers_are_apart_by_parts_of_each_images_diagonal() -> None:
    true = np.array([(0, 0, 10, 10), (0, 0, 0, 0), (0, 0, 4, 4)], np.float64)
    predicted = np.array([(3, 4, 13, 14), (6, 8, 6, 8), (1, 1, 3, 3)], np.float64)  # the last about the same center
    sizes = np.array([[30, 40], [3, 4], [10, 10]])
    np.testing.assert_allclose(center_distances(true, predicted, sizes), [5 / 50, 10 / 5, 0])


def test_rows_of_the_classes() -> None:
    assert per_class(LABELS, RANKS == 0, TRUE, PREDICTED, 4) == [
        {"mean_iou": pytest.approx(0.8), "localization_accuracy": 0.5},
        {"mean_iou": pytest.approx(0.375), "localization_accuracy": 0.5},  # the sample without a box is not counted
        *[{"mean_iou": None, "localization_accuracy": None}] * 2,
    ]
    none = np.full_like(TRUE, np.nan)
    assert per_class(LABELS, RANKS == 0, none, PREDICTED, 2) == [{"mean_iou": None, "localization_accuracy": None}] * 2


def test_rows_of_the_samples() -> None:
    rows = predictions(TRUE, PREDICTED + 1 / 3)
    assert list(rows[0]) == ["iou", *(f"true_{name}" for name in CORNERS), *CORNERS]
    assert [rows[3][f"true_{name}"] for name in CORNERS] == [10, 10, 20, 20]
    assert [rows[3][name] for name in CORNERS] == [10.3333, 10.3333, 30.3333, 20.3333]
    assert [row["iou"] for row in predictions(TRUE, PREDICTED)] == [1.0, 0.6, 0.25, 0.5, None]
    assert [rows[4][f"true_{name}"] for name in CORNERS] == [None] * 4
    assert [rows[4][name] for name in CORNERS] == [1.33333, 2.33333, 3.33333, 4.33333]
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    assert predictions(TRUE[:0], PREDICTED[:0]) == []


# Which images are shown ---------------------------------------------------------------------------------------------


def test_the_best_the_median_and_the_worst_in_order() -> None:
    iou = np.array([0.1, 0.9, np.nan, 0.5, 0.3, 0.7, 0.6, 0.8, 0.2, 0.4])
    found = best_median_worst(iou, 2)
    assert {name: list(iou[list(index)]) for name, index in found.items()} == {
        "best": [0.9, 0.8],
        "median": [0.6, 0.5],
        "worst": [0.1, 0.2],
    }
    assert {name: list(iou[list(index)]) for name, index in best_median_worst(iou, 8).items()} == {
        "best": [0.9, 0.8, 0.7],  # nine for three parts
        "median": [0.6, 0.5, 0.4],
        "worst": [0.1, 0.2, 0.3],
    }


def test_few_samples_are_shown_once() -> None:
    assert best_median_worst(np.array([]), 8) == {"best": [], "median": [], "worst": []}
    assert best_median_worst(np.array([np.nan, np.nan]), 8) == {"best": [], "median": [], "worst": []}
    assert best_median_worst(np.array([np.nan, 0.5]), 8) == {"best": [1], "median": [], "worst": []}
    assert best_median_worst(np.array([0.2, 0.5]), 8) == {"best": [1], "median": [], "worst": [0]}
    assert best_median_worst(np.array([0.2, 0.5, 0.3]), 8) == {"best": [1], "median": [2], "worst": [0]}


@settings(max_examples=settings().max_examples * 200 // 100, deadline=None)
@given(
    iou=st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.5000001, 1.0, float("nan")]), max_size=40),
    number=st.integers(1, 12),
)
def test_no_sample_is_shown_twice_nor_one_without_a_box(iou: list[float], number: int) -> None:
    values = np.array(iou, np.float64)
    found = best_median_worst(values, number)
    assert list(found) == ["best", "median", "worst"]
    shown = [position for index in found.values() for position in index]
    assert len(set(shown)) == len(shown)
    there = ~np.isnan(values)
    assert all(there[position] for position in shown)
    assert all(len(index) <= number for index in found.values())
    assert len(shown) >= min(3, there.sum())
    best, median, worst = (values[list(found[name])] for name in ("best", "median", "worst"))
    if len(shown):
        assert best[0] == np.nanmax(values)
        assert list(best) == sorted(best, reverse=True)
        assert list(worst) == sorted(worst)
    for upper, lower in ((best, median), (median, worst), (best, worst)):
        if len(upper) and len(lower):
            assert upper.min() >= lower.max()
    if len(worst):
        assert worst[0] == np.nanmin(values)
