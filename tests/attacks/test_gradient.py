"""What attacks share: losses and their gradients, random starts, the worst of several runs, tracing."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from networks import BOUNDS, gray, held_out, linear, trained  # type: ignore[import-not-found]

from dlcli.attacks import gradient
from dlcli.attacks.fgsm import fgsm


def test_the_margin_has_a_slope_where_the_cross_entropy_has_none() -> None:
    def sure(x: Any) -> Any:
        return 1e4 * linear(x)

    x, y, _ = gray()
    flat = gradient.gradient(sure, gradient.cross_entropy, tf.constant(x), tf.constant(y))[1].numpy()
    steep = gradient.gradient(sure, gradient.margin, tf.constant(x), tf.constant(y))[1].numpy()
    assert (flat == 0).any(axis=(1, 2, 3)).any()
    assert (steep != 0).all()


def test_the_gradient_of_a_sample_does_not_depend_on_its_batch() -> None:
    model = trained()
    x, y = held_out()
    whole = gradient.gradient(
        lambda p: model(p, training=False), gradient.cross_entropy, tf.constant(x), tf.constant(y)
    )[1]
    alone = gradient.gradient(
        lambda p: model(p, training=False), gradient.cross_entropy, tf.constant(x[3:4]), tf.constant(y[3:4])
    )[1]
    np.testing.assert_allclose(whole[3], alone[0], rtol=1e-4, atol=1e-9)


def test_a_network_without_a_gradient_is_an_error() -> None:
    with pytest.raises(gradient.NoGradient, match="have no gradient with respect to the pixels"):
        fgsm(lambda x: linear(tf.round(x)), loss=gradient.cross_entropy, norm="linf", bounds=BOUNDS)(
            *gray()[:2], 3.0, gray()[2]
        )


def test_random_starts_depend_on_seed_draw_and_sample_alone() -> None:
    args = ((4, 4, 1), np.array([5, 9]), "linf")
    one = gradient.random_changes(*args, seed=1)  # type: ignore[arg-type]
    np.testing.assert_array_equal(one[1:], gradient.random_changes((4, 4, 1), np.array([9]), "linf", seed=1))
    assert not np.array_equal(one, gradient.random_changes(*args, seed=2))  # type: ignore[arg-type]
    assert not np.array_equal(one, gradient.random_changes(*args, seed=1, draw=1))  # type: ignore[arg-type]
    ball = gradient.random_changes((10, 10, 1), np.arange(200), "l2", seed=0)
    lengths = np.linalg.norm(ball.reshape(200, -1), axis=1)
    assert lengths.max() <= 1 + 1e-6
    assert lengths.min() > 0.9  # in 100 dimensions nearly all of a ball is near its surface
    sphere = gradient.random_changes((10, 10, 1), np.arange(20), "l2", seed=0, on_surface=True)
    np.testing.assert_allclose(np.linalg.norm(sphere.reshape(20, -1), axis=1), 1, rtol=1e-5)


def test_batches_of_any_size_are_traced_once() -> None:
    count = 0

    def function(x: Any, eps: Any) -> Any:
        nonlocal count
        count += 1
        return x * eps

    run = gradient.compiled(function)
    for size in (4, 3, 1, 7):
        assert run(np.ones((size, 2), np.float32), np.float32(2)).shape == (size, 2)
    assert count == 1


def test_of_several_runs_one_that_succeeds_is_worse_than_one_of_higher_loss() -> None:
    results = iter(
        [(1.0, [3.0, 3.0], [False, True]), (2.0, [1.0, 1.0], [True, False]), (3.0, [2.0, 9.0], [True, True])]
    )

    def run(x: Any, label: Any, eps: Any, start: Any) -> Any:
        value, losses, succeeds = next(results)
        return tf.fill(x.shape, value), tf.constant(losses), tf.constant(succeeds)

    x = np.zeros((2, 1), np.float32)
    options: Any = {"norm": "linf", "seed": 0}
    worst = gradient.worst_of_starts(run, x, np.zeros(2, np.int32), 1.0, np.arange(2), restarts=3, **options)
    assert worst.tolist() == [[2.0], [1.0]]  # all broken after two runs
