"""Test-time augmentation: which views are averaged, and that their mean is that of the probabilities."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlcli.tasks.images.views import Views, crops, num_views, view_averages


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    layers = [keras.Input((8, 10, 1)), keras.layers.Flatten(), keras.layers.Dense(3), keras.layers.Softmax()]
    return keras.Sequential(layers)


@pytest.mark.parametrize(("views", "number"), [("flip", 2), ("crops", 6), ("flip+crops", 12)])
def test_probabilities_of_the_views_are_averaged(model: keras.Model, views: Views, number: int) -> None:
    images = np.random.default_rng(0).random((4, 8, 10, 1)).astype(np.float32)
    shown = [images, *(np.asarray(crop) for crop in crops(tf.constant(images)))] if "crops" in views else [images]
    if "flip" in views:
        shown += [view[:, :, ::-1] for view in shown]
    assert len(shown) == num_views(views) == number
    expected = np.mean([np.asarray(model(view)) for view in shown], axis=0)
    logits, probabilities = view_averages(model, views)(tf.constant(images), training=False)
    np.testing.assert_allclose(probabilities, expected, rtol=1e-5)
    np.testing.assert_allclose(tf.nn.softmax(logits), expected, rtol=1e-5)
    assert not np.allclose(expected, model(images), rtol=1e-3)


def test_crops_are_the_center_and_the_corners() -> None:
    images = np.zeros((1, 16, 8, 1), np.float32)
    images[0, 0, 0], images[0, -1, -1] = 1.0, 2.0
    found = [np.asarray(crop)[0, :, :, 0] for crop in crops(tf.constant(images))]
    assert [crop.shape for crop in found] == [(16, 8)] * 5
    center, *corners = [(bool(crop[0, 0] > 0.5), bool(crop[-1, -1] > 0.5)) for crop in found]
    assert center == (False, False)
    assert corners == [(True, False), (False, False), (False, False), (False, True)]
