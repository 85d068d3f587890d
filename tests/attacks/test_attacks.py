"""Attacks in closed form on a linear network, within their budgets, and by the invariants that must hold of any."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import BOUNDS, WEIGHTS, accuracy, gray, held_out, linear, trained  # type: ignore[import-not-found]

from dlcli.attacks import gradient
from dlcli.attacks.apgd import apgd, checkpoints
from dlcli.attacks.fgsm import fgsm
from dlcli.attacks.gradient import Attack
from dlcli.attacks.noise import noise
from dlcli.attacks.pgd import iterated
from dlcli.attacks.square import proportion, square


def two_class_direction(x: np.ndarray, y: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """d/dx of the cross-entropy of a linear network: W (p - onehot(y))."""
    one_hot = np.eye(3)[y]
    return ((probabilities - one_hot) @ WEIGHTS.T / 255).reshape(x.shape)


def test_one_step_on_a_linear_network() -> None:
    x, y, index = gray()
    z = np.asarray(linear(x), np.float64)
    p = np.exp(z - z.max(1, keepdims=True))
    slope = two_class_direction(x, y, p / p.sum(1, keepdims=True))
    attack = fgsm(linear, loss=gradient.cross_entropy, norm="linf", bounds=BOUNDS)
    np.testing.assert_allclose(attack(x, y, 3.0, index), x + 3 * np.sign(slope), atol=1e-4)
    attack = fgsm(linear, loss=gradient.cross_entropy, norm="l2", bounds=BOUNDS)
    length = np.linalg.norm(slope.reshape(6, -1), axis=1).reshape(-1, 1, 1, 1)
    np.testing.assert_allclose(attack(x, y, 3.0, index), x + 3 * slope / length, atol=1e-4)
    toward = fgsm(linear, loss=gradient.toward(gradient.cross_entropy), norm="linf", bounds=BOUNDS)
    target = (y + 1) % 3
    slope = two_class_direction(x, target, p / p.sum(1, keepdims=True))
    np.testing.assert_allclose(toward(x, target, 3.0, index), x - 3 * np.sign(slope), atol=1e-4)


# Budgets and invariants -----------------------------------------------------------------------------------------------

Make = Callable[[Any, Any], Attack]
ATTACKS: dict[str, Make] = {
    "fgsm": lambda logits, norm: fgsm(logits, loss=gradient.cross_entropy, norm=norm, bounds=BOUNDS),
    "bim": lambda logits, norm: iterated(
        logits, loss=gradient.cross_entropy, norm=norm, bounds=BOUNDS, steps=10, step_size=0.25
    ),
    "pgd": lambda logits, norm: iterated(
        logits, loss=gradient.cross_entropy, norm=norm, bounds=BOUNDS, steps=20, step_size=0.125, restarts=2
    ),
    "mi-fgsm": lambda logits, norm: iterated(
        logits, loss=gradient.cross_entropy, norm=norm, bounds=BOUNDS, steps=10, step_size=0.1, momentum=1.0
    ),
    "apgd": lambda logits, norm: apgd(
        logits, loss=gradient.cross_entropy, norm=norm, bounds=BOUNDS, steps=20, restarts=1, seed=0
    ),
    "apgd-dlr": lambda logits, norm: apgd(
        logits, loss=gradient.logits_ratio, norm=norm, bounds=BOUNDS, steps=20, restarts=1, seed=0
    ),
    "noise": lambda logits, norm: noise(norm=norm, bounds=BOUNDS, seed=0),
    "square": lambda logits, norm: square(logits, loss=gradient.margin, bounds=BOUNDS, queries=60, seed=0),
}


@functools.cache
def on_trained(name: str, norm: Any) -> Attack:
    """An attack on the trained network; what takes long is to trace it."""
    model = trained()
    return ATTACKS[name](lambda p: model(p, training=False), norm)


SLOW = ("apgd-dlr", "l2")  # to trace; the other loss has the same steps
NORMS = [
    pytest.param(name, norm, marks=[pytest.mark.slow] if (name, norm) == SLOW else [])
    for name in ATTACKS
    for norm in ("linf", "l2")
    if (name, norm) != ("square", "l2")
]


@pytest.mark.parametrize(("name", "norm"), NORMS)
def test_the_budget_and_the_range_hold(name: str, norm: Any) -> None:
    x, y = (values[:64] for values in held_out())
    attack = on_trained(name, norm)
    for eps in (4.0, 60.0) if norm == "linf" else (100.0, 900.0):
        found = attack(x, y, eps, np.arange(len(x)))
        assert found.dtype == np.float32
        assert found.min() >= 0
        assert found.max() <= 255
        change = (found.astype(np.float64) - x).reshape(len(x), -1)
        size = np.abs(change).max(1) if norm == "linf" else np.linalg.norm(change, axis=1)
        assert size.max() <= eps * (1 + 1e-5)
        assert size.max() > 0.5 * eps


@pytest.mark.parametrize(("name", "norm"), NORMS)
def test_a_sample_is_attacked_alike_in_any_batch(name: str, norm: Any) -> None:
    x, y = (values[:9] for values in held_out())
    attack = on_trained(name, norm)
    eps = 20.0 if norm == "linf" else 200.0
    whole = attack(x, y, eps, np.arange(9))
    parts = [attack(x[i : i + 4], y[i : i + 4], eps, np.arange(9)[i : i + 4]) for i in (0, 4, 8)]
    same = np.isclose(whole, np.concatenate(parts), atol=0.05).mean()
    assert same > 0.99  # the sign of a slope of nearly 0 may differ


@pytest.mark.parametrize("name", ["bim", "pgd", "mi-fgsm", "apgd", "apgd-dlr"])
def test_many_steps_are_stronger_than_one_and_one_than_noise(name: str) -> None:
    model = trained()
    x, y = held_out()

    def robust(attack: str, eps: float) -> float:
        return accuracy(model, on_trained(attack, "linf")(x, y, eps, np.arange(len(x))), y)

    small, large = robust(name, 12.0), robust(name, 25.0)
    assert small <= robust("fgsm", 12.0) <= robust("noise", 12.0)
    assert large <= min(robust("fgsm", 25.0), small + 0.005)
    assert robust(name, 127.5) <= 0.1


def test_the_ranking_of_published_attacks() -> None:
    model = trained()
    x, y = held_out()
    found = {
        name: accuracy(model, on_trained(name, "linf")(x, y, 15.0, np.arange(len(x))), y)
        for name in ("fgsm", "pgd", "apgd", "square")
    }
    assert found["apgd"] <= found["pgd"] + 0.01 <= found["fgsm"] + 0.02
    assert found["square"] < accuracy(model, x, y) - 0.02  # without any gradient


@settings(max_examples=settings().max_examples * 15 // 100, deadline=None)
@given(seed=st.integers(0, 2**31), eps=st.floats(1, 100), units=st.integers(2, 5))
def test_more_is_never_weaker_on_random_networks(seed: int, eps: float, units: int) -> None:
    """On a linear network the loss at the end of a step grows with eps, and two steps end no lower than one."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(12, units)).astype(np.float32)

    def logits(x: Any) -> Any:
        return tf.matmul(tf.reshape(x, [-1, 12]), weights) / 255

    x = rng.uniform(110, 140, (5, 3, 4, 1)).astype(np.float32)
    y = np.asarray(logits(x)).argmax(1).astype(np.int32)
    index = np.arange(5)

    def loss(found: np.ndarray) -> np.ndarray:
        return np.asarray(gradient.cross_entropy(logits(tf.constant(found)), tf.constant(y)))

    one = fgsm(logits, loss=gradient.cross_entropy, norm="linf", bounds=BOUNDS)
    small, large = loss(one(x, y, eps / 2, index)), loss(one(x, y, eps, index))
    assert (loss(x) <= small + 1e-6).all()
    assert (small <= large + 1e-6).all()
    still = loss(noise(norm="linf", bounds=BOUNDS, seed=seed)(x, y, eps, index))
    if units == 2:  # with two classes a step along the signs is the best there is
        assert (still <= large + 1e-5).all()


def test_schedules_are_those_of_the_papers() -> None:
    assert checkpoints(100) == [0, 22, 41, 57, 70, 80, 87, 93, 99, 100]  # Croce and Hein 2020, section 3.1
    assert [proportion(q, 10_000) for q in (5, 11, 51, 201)] == [0.8, 0.4, 0.2, 0.1]
