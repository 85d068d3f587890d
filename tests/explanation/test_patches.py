"""The strongest activations against a search in NumPy, and patches beyond the border of an image."""

import keras
import numpy as np

from dlcli.explanation.logits import open_network
from dlcli.explanation.patches import cut, strongest, window_of


def test_the_strongest_activations_are_those_of_a_search_through_all_maps() -> None:
    keras.utils.set_random_seed(3)
    inputs = keras.Input((6, 9, 1))
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
    images = np.random.default_rng(0).uniform(-1, 1, (20, 6, 9, 1)).astype(np.float32)
    numbers = np.arange(100, 120)
    parts = [(numbers[start : start + 7], images[start : start + 7]) for start in range(0, 20, 7)]
    found = strongest(open_network(model), "conv", [3, 1], parts, num=5)
    maps = keras.Model(inputs, x).predict(images, verbose=0)
    for row, number in enumerate((3, 1)):
        best = maps[..., number].max(axis=(1, 2))
        order = np.argsort(-best, kind="stable")[:5]
        np.testing.assert_allclose(found.values[row], best[order], rtol=1e-6)
        np.testing.assert_array_equal(found.images[row], order + 100)
        for image, (y, x_) in zip(order, found.positions[row], strict=True):
            np.testing.assert_allclose(maps[image, y, x_, number], best[image], rtol=1e-6)
        assert found.active_share[row] == (best > 0).mean()


def test_fewer_images_than_asked_for() -> None:
    inputs = keras.Input((4, 4, 1))
    x = keras.layers.MaxPooling2D(name="pool")(inputs)
    network = open_network(keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x))))
    found = strongest(network, "pool", [0], [(np.array([4]), np.full((1, 4, 4, 1), -2.0, np.float32))])
    assert found.values.tolist() == [[-2.0]]
    assert found.active_share.tolist() == [0.0]


def test_patches_are_empty_beyond_the_image() -> None:
    image = np.arange(12, dtype=np.float32).reshape(3, 4, 1)
    patch = cut(image, (-1, 2), (2, 6))
    assert patch.shape == (3, 4, 1)
    np.testing.assert_array_equal(patch[..., 0], [[np.nan] * 4, [2, 3, np.nan, np.nan], [6, 7, np.nan, np.nan]])
    assert np.isnan(cut(image, (5, 7), (-9, -7))).all()


def test_a_field_larger_than_the_image_shows_all_of_it() -> None:
    assert window_of((-2, 5), 9) == (-2, 5)
    assert window_of((-20, 5), 9) == (0, 9)
    assert window_of(None, 9) == (0, 9)


def test_activations_beyond_the_end_of_a_relu6_are_distinguished() -> None:
    inputs = keras.Input((2, 2, 1))
    x = keras.layers.MaxPooling2D(name="pool")(keras.layers.ReLU(6.0)(inputs))
    network = open_network(keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x))))
    images = np.array([7.0, 9.0, -1.0, 8.0], np.float32)[:, None, None, None] * np.ones((1, 2, 2, 1), np.float32)
    found = strongest(network, "pool", [0], [(np.arange(4), images)])
    assert found.images.tolist() == [[1, 3, 0, 2]]
    assert found.values.tolist() == [[9.0, 8.0, 7.0, -1.0]]
    assert found.active_share.tolist() == [0.75]
