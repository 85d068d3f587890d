"""Learning rates: their closed forms, and Keras's own schedules where Keras has the same."""

import math
from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlcli.training import schedule
from dlcli.training.schedule import Rate

STEPS_PER_EPOCH = 7
NUM_STEPS = 28
RATE = 0.03


def rates(rate: Rate, num_steps: int = NUM_STEPS) -> np.ndarray:
    """The rate at each step, from a compiled function as in training."""
    compiled = tf.function(rate, input_signature=[tf.TensorSpec([], tf.int64)])
    values = [compiled(tf.constant(step, tf.int64)) for step in range(num_steps)]
    assert all(value.dtype == tf.float32 for value in values)
    return np.array([value.numpy() for value in values])


def keras_rates(schedule: keras.optimizers.schedules.LearningRateSchedule) -> np.ndarray:
    return np.array([float(schedule(step)) for step in range(NUM_STEPS)])


CONSTANT = schedule.constant(learning_rate=RATE)
STEP = schedule.step_decay(learning_rate=RATE, every=2.0, factor=0.5, steps_per_epoch=STEPS_PER_EPOCH)
EXPONENTIAL = schedule.exponential(learning_rate=RATE, factor=0.9, steps_per_epoch=STEPS_PER_EPOCH)
COSINE = schedule.cosine(learning_rate=RATE, final=0.1, num_steps=NUM_STEPS)


def cosine_at(step: int) -> float:
    return RATE * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * step / (NUM_STEPS - 1))))


@pytest.mark.parametrize(
    ("rate", "closed_form"),
    [
        pytest.param(CONSTANT, lambda step: RATE, id="constant"),
        pytest.param(STEP, lambda step: RATE * 0.5 ** (step // 14), id="step"),
        pytest.param(EXPONENTIAL, lambda step: RATE * 0.9 ** (step / STEPS_PER_EPOCH), id="exponential"),
        pytest.param(COSINE, cosine_at, id="cosine"),
    ],
)
def test_closed_forms(rate: Rate, closed_form: Callable[[int], float]) -> None:
    np.testing.assert_allclose(rates(rate), [closed_form(step) for step in range(NUM_STEPS)], rtol=1e-6)


def test_a_step_in_the_middle_of_an_epoch() -> None:
    rate = schedule.step_decay(learning_rate=RATE, every=0.5, factor=0.1, steps_per_epoch=8)
    np.testing.assert_allclose(rates(rate, 12), np.repeat([RATE, RATE / 10, RATE / 100], 4), rtol=1e-6)


def test_a_step_shorter_than_a_batch_is_one_batch() -> None:
    rate = schedule.step_decay(learning_rate=RATE, every=0.01, factor=0.5, steps_per_epoch=4)
    np.testing.assert_allclose(rates(rate, 3), [RATE, RATE / 2, RATE / 4], rtol=1e-6)


def test_step_equals_keras() -> None:
    boundaries, values = [13, 27], [RATE, RATE * 0.5, RATE * 0.25]  # Keras's boundary is the last step of its rate
    expected = keras_rates(keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, values))
    np.testing.assert_allclose(rates(STEP), expected, rtol=1e-6)


def test_exponential_equals_keras() -> None:
    expected = keras_rates(keras.optimizers.schedules.ExponentialDecay(RATE, STEPS_PER_EPOCH, 0.9))
    np.testing.assert_allclose(rates(EXPONENTIAL), expected, rtol=1e-6)


def test_cosine_equals_keras_whose_last_step_is_one_later() -> None:
    expected = keras_rates(keras.optimizers.schedules.CosineDecay(RATE, NUM_STEPS - 1, alpha=0.1))
    np.testing.assert_allclose(rates(COSINE), expected, rtol=1e-6)


def test_cosine_ends_where_it_should_and_stays_there() -> None:
    reached = rates(COSINE, NUM_STEPS + 5)
    assert reached[0] == pytest.approx(RATE)
    np.testing.assert_allclose(reached[NUM_STEPS - 1 :], RATE * 0.1, rtol=1e-6)
    to_zero = rates(schedule.cosine(learning_rate=RATE, final=0.0, num_steps=5), 8)
    np.testing.assert_allclose(to_zero[4:], 0.0, atol=1e-9)
    assert (to_zero >= 0).all()


def test_cosine_of_one_step_has_the_full_rate() -> None:
    assert rates(schedule.cosine(learning_rate=RATE, final=0.5, num_steps=1), 1)[0] == pytest.approx(RATE)


@pytest.mark.parametrize("rate", [CONSTANT, STEP, EXPONENTIAL, COSINE], ids=["constant", "step", "exp", "cosine"])
def test_warmup_rises_linearly_and_then_the_schedule_begins(rate: Rate) -> None:
    warmed = rates(schedule.with_warmup(rate, warmup_steps=4), NUM_STEPS + 4)
    np.testing.assert_allclose(warmed[:4], RATE * np.array([1, 2, 3, 4]) / 5, rtol=1e-6)
    np.testing.assert_array_equal(warmed[4:], rates(rate))
    assert (np.diff(warmed[:5]) > 0).all()


def test_no_warmup_is_the_schedule_itself() -> None:
    assert schedule.with_warmup(COSINE, warmup_steps=0) is COSINE
