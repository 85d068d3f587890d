"""The range test on a quadratic, whose losses and divergence are known, and suggestions on curves of known slopes."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlcli.training.objectives.objective import Objective
from dlcli.training.range_test import RangeTest, centered_mean, exponential_range, range_test
from dlcli.training.schedule import constant
from dlcli.training.step import TrainStep

CURVATURE = 3.0
START = 2.0


class Ones:
    """Batches of one sample, 1; an epoch has four."""

    num_samples, batch_size, num_steps, mixes = 4, 1, 4, False

    def __init__(self) -> None:
        self.epochs: list[int] = []

    def source(self, epoch: int, first_step: int = 0) -> Any:
        self.epochs.append(epoch)
        return tf.ones(4)

    def element(self, source: Any, step: Any) -> dict[str, Any]:
        return {"weight": source[step][None]}

    def assemble(self, element: dict[str, Any]) -> dict[str, Any]:
        return {"x": tf.ones([1, 1]), "y": {}, "weight": element["weight"]}


def quadratic_step(data: Ones, *, base: float) -> TrainStep:
    """A step of gradient descent on ``CURVATURE / 2 * w**2`` from ``START``."""
    layer = keras.layers.Dense(1, use_bias=False, kernel_initializer=keras.initializers.Constant(START))
    model = keras.Sequential([keras.Input((1,)), layer])
    optimizer = keras.optimizers.SGD(base)
    optimizer.build(model.trainable_variables)
    return TrainStep(
        model=model,
        optimizer=optimizer,
        objective=Objective(loss=lambda outputs, batch: CURVATURE / 2 * tf.square(outputs[:, 0]), metrics={}),
        data=data,
        rate=constant(learning_rate=base),
        clipping=None,
        num_parts=1,
        loss_scaling=False,
    )


def test_gradient_descent_on_a_quadratic_diverges_where_theory_says() -> None:
    data, rates = Ones(), exponential_range(1e-4, 1e3, 200)
    seen: list[tuple[int, float, float]] = []
    step = quadratic_step(data, base=0.02)
    test = range_test(step, data, learning_rates=rates, base=0.02, progress=lambda *values: seen.append(values))
    taken = len(test.losses)
    weights = START * np.cumprod([1.0, *(1 - CURVATURE * rates[: taken - 1])])
    np.testing.assert_allclose(test.losses, CURVATURE / 2 * weights**2, rtol=2e-4)
    # |1 - rate * curvature| < 1 up to 2 / curvature, so the loss is lowest right after it
    lowest = test.learning_rates[np.argmin(test.losses)]
    ratio = rates[1] / rates[0]
    assert 2 / CURVATURE < lowest < 2 / CURVATURE * ratio
    assert test.diverged
    assert taken < 200
    assert test.learning_rates[-1] < 100 * 2 / CURVATURE
    assert data.epochs == list(range(-(-taken // 4)))
    assert [number for number, _, _ in seen] == list(range(1, taken + 1))
    assert test.steepest is not None
    assert test.learning_rates[test.steepest] < 2 / CURVATURE


class Scripted:
    """A step with given losses; NaN is one that ends training."""

    def __init__(self, losses: list[float]) -> None:
        self._losses = iter(losses)
        self.rate_factor = 1.0
        self.factors: list[float] = []

    def reset(self) -> None: ...

    def run(self, source: Any, first_step: int, num_steps: int) -> bool:
        self.factors.append(self.rate_factor)
        self._loss = next(self._losses)
        return bool(np.isfinite(self._loss))

    def results(self) -> dict[str, float]:
        return {"loss": self._loss, "gradient_norm": 1.0}


def scripted(losses: list[float], num_steps: int) -> tuple[RangeTest, Scripted]:
    step: Any = Scripted(losses)
    rates = exponential_range(1.0, 2.0, num_steps)
    return range_test(step, Ones(), learning_rates=rates, base=0.5, progress=lambda *values: None), step


def test_a_loss_that_is_not_finite_ends_the_test() -> None:
    test, step = scripted([3.0, 2.0, np.nan], 100)
    assert (test.losses.tolist(), test.diverged) == ([3.0, 2.0], True)
    np.testing.assert_allclose(step.factors, exponential_range(1.0, 2.0, 100)[:3] / 0.5)


def test_a_rise_below_the_initial_loss_is_no_divergence() -> None:
    falling = np.linspace(4.0, 0.01, 30).tolist()
    first_mean = float(np.mean(falling[:5]))
    test, _ = scripted([*falling, *[first_mean - 0.01] * 70], 100)
    assert (len(test.losses), test.diverged) == (100, False)
    test, _ = scripted([*falling, *[first_mean - 0.01] * 10, *[first_mean + 0.1] * 60], 100)
    assert (len(test.losses), test.diverged) == (30 + 10 + 1, True)
    flat, _ = scripted([*[1.0] * 20, *[3.9] * 80], 100)
    assert not flat.diverged  # below four times the lowest


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_the_steepest_descent_of_a_logistic_curve_is_at_its_middle(noise: float) -> None:
    rates = exponential_range(1e-6, 10.0, 300)
    losses = 2.3 / (1 + rates / 1e-2) + noise * np.random.default_rng(0).normal(size=300)
    test = RangeTest(rates, losses, 7, diverged=False)
    assert test.steepest is not None
    assert rates[test.steepest] == pytest.approx(1e-2, rel=0.06 if noise == 0 else 0.5)
    if noise == 0:
        assert test.minimum_tenth == pytest.approx(1.0)


def test_noise_has_no_descent() -> None:
    for seed in range(50):
        losses = 2.3 + 0.1 * np.random.default_rng(seed).normal(size=300)
        assert RangeTest(exponential_range(1e-6, 1.0, 300), losses, 7, diverged=False).steepest is None
    rising = RangeTest(exponential_range(1e-6, 1.0, 300), np.linspace(1, 2, 300), 7, diverged=False)
    assert rising.steepest is None


def test_a_centered_mean_is_a_convolution() -> None:
    values = np.random.default_rng(0).normal(size=30)
    kernel = np.ones(7)
    expected = np.convolve(values, kernel, "same") / np.convolve(np.ones(30), kernel, "same")
    np.testing.assert_allclose(centered_mean(values, 3), expected)
    np.testing.assert_allclose(centered_mean(values, 100), values.mean())
