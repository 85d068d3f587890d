"""The objective of segmentation: normalizer, ignored pixels, class weights, metrics, and the division of a batch."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from dense_problem import NUM_CLASSES, Pixels, evaluate, make_model, train  # type: ignore[import-not-found]
from sklearn.metrics import jaccard_score

from dlcli.training.objectives.class_losses import CrossEntropy, Focal
from dlcli.training.objectives.objective import Objective
from dlcli.training.objectives.overlap_losses import Tversky, dice
from dlcli.training.objectives.segmentation import accuracy_and_mean_iou, segmentation

WEIGHTS = (0.5, 1.0, 4.0)


def make_objective(**keys: Any) -> Objective:
    return segmentation(**{"num_classes": NUM_CLASSES, "label_smoothing": 0.0, "class_weights": None, **keys})


EVERYTHING = {
    "terms": (CrossEntropy(), Focal(2.0, 0.25, weight=0.5)),
    "overlaps": (dice(), Tversky(0.3, 0.7, weight=2.0), dice(over="image")),
    "class_weights": WEIGHTS,
    "label_smoothing": 0.1,
}


@pytest.mark.usefixtures("uncompiled")
def test_the_loss_is_divided_by_the_pixels_that_count_without_class_weights() -> None:
    data, model = Pixels(), make_model()
    for keys, weights in (({}, np.ones(3)), ({"class_weights": WEIGHTS}, np.array(WEIGHTS))):
        _, results = train(make_objective(**keys), data=data, learning_rate=0.0, model=model)
        logits = model(data.x).numpy()
        counts = data.mask != 255
        labels = data.mask[counts]
        losses = keras.losses.sparse_categorical_crossentropy(labels, logits[counts], from_logits=True).numpy()
        expected = (weights[labels] * losses).sum() / counts.sum() + float(sum(model.losses))
        assert results["loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.usefixtures("uncompiled")
def test_metrics_are_those_of_the_confusion_matrix_of_all_pixels() -> None:
    for data in (Pixels(), Pixels(batch_size=3)):
        model, results = train(make_objective(), data=data, learning_rate=0.0)
        counts = data.mask != 255
        predicted = model(data.x).numpy().argmax(-1)[counts]
        expected = {
            "pixel_accuracy": np.mean(predicted == data.mask[counts]),
            "mean_iou": jaccard_score(data.mask[counts], predicted, average="macro"),
        }
        assert {name: results[name] for name in expected} == pytest.approx(expected)
        found = evaluate(model, make_objective(), data)
        assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_absent_classes_are_left_out_of_the_mean_iou() -> None:
    matrix = np.array([[3.0, 1.0, 1.0], [2.0, 4.0, 0.0], [0.0, 0.0, 0.0]])
    assert accuracy_and_mean_iou(matrix.ravel()) == pytest.approx((7 / 11, (3 / 7 + 4 / 7) / 2))
    assert accuracy_and_mean_iou(np.zeros(9)) == (0.0, 0.0)


@pytest.mark.usefixtures("uncompiled")
def test_the_loss_of_a_split_does_not_depend_on_the_batch_size() -> None:
    objective, model = make_objective(**EVERYTHING), make_model()
    found = [evaluate(model, objective, Pixels(batch_size=size)) for size in (8, 3, 1)]
    for other in found[1:]:
        assert other == pytest.approx(found[0], rel=1e-5)


def test_ignored_pixels_change_nothing() -> None:
    objective = make_objective(**EVERYTHING)
    batch = Pixels().everything()
    is_ignored = (batch["y"]["mask"] == 255).numpy()
    assert is_ignored.mean() > 0.2
    logits = make_model()(batch["x"]).numpy()
    logits_elsewhere = np.where(is_ignored[..., None], np.float32([9.0, -9.0, 3.0]), logits)

    def total(logits: np.ndarray) -> tuple[float, np.ndarray]:
        with tf.GradientTape() as tape:
            tape.watch(x := tf.constant(logits))
            weight = objective.weight(batch)
            loss = tf.reduce_sum(weight * objective.minimized(x, batch)) / tf.reduce_sum(weight)
            loss += objective.batch_loss.value(objective.batch_loss.sums(x, batch))
        return float(loss), tape.gradient(loss, x).numpy()

    (one, gradient), (other, _) = total(logits), total(logits_elsewhere)
    assert one == pytest.approx(other, rel=1e-6)
    assert (gradient[is_ignored] == 0).all()
    assert (gradient[~is_ignored] != 0).any(axis=-1).all()
    for sums in (objective.metric_sums(logits, batch), objective.metric_sums(logits_elsewhere, batch)):
        assert float(tf.reduce_sum(sums)) == (~is_ignored).sum()


@pytest.mark.parametrize("batch_size", [8, 3])
@pytest.mark.usefixtures("uncompiled")
def test_parts_of_a_batch_give_the_update_and_loss_of_the_whole(batch_size: int) -> None:
    objective = make_objective(**EVERYTHING)
    trained = [
        train(objective, data=Pixels(batch_size=batch_size), num_parts=num_parts, num_epochs=2) for num_parts in (1, 3)
    ]
    (whole, results), (parts, other) = trained
    for one, two in zip(whole.get_weights(), parts.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, rtol=2e-5, atol=2e-6)
    assert other == pytest.approx(results, rel=1e-5)
    start = make_model().get_weights()
    assert max(np.abs(a - b).max() for a, b in zip(whole.get_weights(), start, strict=True)) > 0.05


@pytest.mark.parametrize("over", ["batch", "image"])
def test_an_overlap_alone_can_be_trained(over: Any) -> None:
    _, results = train(make_objective(terms=(), overlaps=(dice(over=over),)), learning_rate=2.0, num_epochs=60)
    assert results["loss"] < 0.35
    assert results["mean_iou"] > 0.7


def test_there_must_be_a_loss_and_a_weight_for_each_class() -> None:
    with pytest.raises(ValueError, match="at least one loss"):
        make_objective(terms=())
    with pytest.raises(ValueError, match=r"one weight for each of 3 classes\. Received 1"):
        make_objective(class_weights=(1.0,))
