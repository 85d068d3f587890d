"""Convolutional networks for series: the exact number of parameters, and batch normalization that ignores padding."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from small_steps import INCEPTION, LENGTHS, MASK, VALUES, build, run  # type: ignore[import-not-found]

from dlcli.models.sequences import inception_time, series_convnets
from dlcli.models.sequences.batch_norm import norm

PAPER: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "inception_time": (
        inception_time.steps,
        {"filters": 32, "kernel_sizes": (40, 20, 10), "bottleneck": 32, "modules": 6, "residual": True},
    ),
    "fcn": (series_convnets.fcn_steps, {"filters": (128, 256, 128)}),
    "resnet": (series_convnets.resnet_steps, {"filters": (64, 128, 128)}),
}


def inception_count(features: int) -> int:
    """Trainable parameters by figures 1 and 2: 70 steps of kernels and one after the pooling, and normalizations."""

    def module(inputs: int) -> int:
        read = inputs if inputs == 1 else 32
        bottleneck = 0 if inputs == 1 else 32 * inputs
        return bottleneck + 32 * read * (40 + 20 + 10) + 32 * inputs + 2 * 128

    shortcuts = 128 * features + 2 * 128 + 128 * 128 + 2 * 128
    return module(features) + 5 * module(128) + shortcuts


def fcn_count(features: int) -> int:
    return 8 * features * 128 + 5 * 128 * 256 + 3 * 256 * 128 + 2 * (128 + 256 + 128)


def resnet_count(features: int) -> int:
    def block(inputs: int, width: int) -> int:
        shortcut = 0 if inputs == width else inputs * width
        return 8 * inputs * width + (5 + 3) * width**2 + shortcut + 4 * 2 * width

    return block(features, 64) + block(64, 128) + block(128, 128)


COUNTS = {"inception_time": inception_count, "fcn": fcn_count, "resnet": resnet_count}


def test_every_network_is_counted() -> None:
    assert PAPER.keys() == COUNTS.keys()


@pytest.mark.parametrize("features", [1, 6])
@pytest.mark.parametrize("name", PAPER)
def test_a_network_has_the_parameters_of_its_paper(name: str, features: int) -> None:
    steps, options = PAPER[name]
    values, mask = keras.Input((None, features)), keras.Input((None,), dtype="bool")
    model = keras.Model([values, mask], steps(values, mask, **options))
    assert sum(variable.value.shape.num_elements() for variable in model.trainable_variables) == COUNTS[name](features)
    assert inception_count(1) == 420_192


def test_batch_normalization_takes_moments_of_steps_before_the_end() -> None:
    values, mask = keras.Input((None, 3)), keras.Input((None,), dtype="bool")
    model = keras.Model([values, mask], norm(values, mask, name="norm"))
    found = run(model, training=True)
    real = VALUES[MASK].astype(np.float64)
    mean, variance = real.mean(axis=0), real.var(axis=0)
    np.testing.assert_allclose(found[MASK], (real - mean) / np.sqrt(variance + 1e-5), atol=1e-5)
    moving = model.get_layer("norm")
    np.testing.assert_allclose(moving.moving_mean, 0.1 * mean, atol=1e-6)
    np.testing.assert_allclose(moving.moving_variance, 0.9 + 0.1 * variance, atol=1e-6)


def test_training_does_not_see_padding() -> None:
    noise = np.where(MASK[..., None], VALUES, 100.0).astype(np.float32)
    wide = np.pad(VALUES, ((0, 0), (0, 5), (0, 0)), constant_values=7.0)
    wide_mask = np.pad(MASK, ((0, 0), (0, 5)))
    found = [build(inception_time.steps, INCEPTION) for _ in range(3)]
    expected = run(found[0], training=True)
    np.testing.assert_array_equal(run(found[1], noise, training=True), expected)
    wider = run(found[2], wide, wide_mask, training=True)
    for sample, length in enumerate(LENGTHS):
        np.testing.assert_allclose(wider[sample, :length], expected[sample, :length], atol=1e-5)
    for first, other in zip(found[0].weights, found[2].weights, strict=True):  # moving averages too
        np.testing.assert_allclose(first, other, atol=1e-6)


def test_a_module_is_its_equations() -> None:
    """Kernels of an even length reach one step further ahead than back, as in Keras."""
    options = {**INCEPTION, "kernel_sizes": (2,), "modules": 1, "residual": False}
    model = build(inception_time.steps, options)
    weights = {weight.path: np.asarray(weight, np.float64) for weight in model.weights}
    x = VALUES[1, : LENGTHS[1]].astype(np.float64)
    narrow = x @ weights["module1_bottleneck/kernel"][0]
    kernel = weights["module1_conv2/kernel"]
    after = np.concatenate([narrow[1:], np.zeros((1, 2))])
    convolved = narrow @ kernel[0] + after @ kernel[1]
    around = np.concatenate([np.full((1, 3), -np.inf), x, np.full((1, 3), -np.inf)])
    highest = np.maximum.reduce([around[:-2], around[1:-1], around[2:]]) @ weights["module1_pool_conv/kernel"][0]
    both = np.concatenate([convolved, highest], axis=-1)
    gamma, beta, mean, variance = (
        weights[f"module1_norm/{name}"] for name in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    expected = np.maximum((both - mean) / np.sqrt(variance + 1e-5) * gamma + beta, 0)
    np.testing.assert_allclose(run(model)[1, : LENGTHS[1]], expected, atol=1e-5)
