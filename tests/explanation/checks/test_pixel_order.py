"""Deletion and insertion against explicit loops, and against what is known in closed form."""

import itertools

import keras
import numpy as np
import pytest

from dlcli.explanation import baselines
from dlcli.explanation.checks.pixel_order import areas, order_of
from dlcli.explanation.logits import Classifier, open_network

RNG = np.random.default_rng(5)
IMAGES = RNG.uniform(0, 255, (3, 5, 8, 2)).astype(np.float32)
CLASSES = np.array([0, 1, 1], np.int32)


def network() -> tuple[keras.Model, Classifier]:
    inputs = keras.Input((5, 8, 2))
    layer = keras.layers.Dense(2, activation="softmax")
    model = keras.Model(inputs, layer(keras.layers.Flatten()(inputs)))
    layer.set_weights([RNG.normal(size=(80, 2)) / 200, RNG.normal(size=2)])
    return model, open_network(model)


@pytest.mark.parametrize("name", list(baselines.BASELINES))
def test_areas_are_those_of_explicit_loops(name: str) -> None:
    model, opened = network()
    scores = RNG.normal(size=(3, 5, 8)).astype(np.float32)
    inserted, deleted = areas(opened, IMAGES, CLASSES, scores, baseline=baselines.BASELINES[name])
    fill = baselines.BASELINES[name](IMAGES)
    for row in range(3):
        order = np.argsort(-scores[row].ravel())
        for found, start, end in ((inserted, fill, IMAGES), (deleted, IMAGES, fill)):
            curve = []
            for step in range(51):
                pixels = start[row].reshape(40, 2).copy()
                first = order[: round(step / 50 * 40)]
                pixels[first] = end[row].reshape(40, 2)[first]
                curve.append(float(model(pixels.reshape(1, 5, 8, 2))[0, CLASSES[row]]))
            area = sum((one + two) / 2 for one, two in itertools.pairwise(curve)) / 50
            assert found[row] == pytest.approx(area, rel=1e-4)


def test_the_best_order_of_a_linear_network_is_that_of_its_contributions() -> None:
    model, opened = network()
    kernel = model.layers[-1].kernel.numpy()
    weights = (kernel[:, CLASSES] - kernel[:, 1 - CLASSES]).T.reshape(IMAGES.shape)
    best = (weights * IMAGES).sum(-1)
    options = {"baseline": baselines.black}
    inserted, deleted = areas(opened, IMAGES, CLASSES, best, **options)
    for scores in (-best, RNG.normal(size=best.shape)):
        other = areas(opened, IMAGES, CLASSES, scores, **options)
        assert (other[0] < inserted).all()
        assert (other[1] > deleted).all()


def test_equal_scores_come_in_random_order() -> None:
    scores = np.zeros((4, 6))
    scores[2, 3] = 1
    order = order_of(scores, seed=0)
    assert order[0] == 15
    assert sorted(order) == list(range(24))
    assert order.tolist() != sorted(order)
    assert order.tolist() == order_of(scores, seed=0).tolist() != order_of(scores, seed=1).tolist()
