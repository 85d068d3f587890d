"""The settings of attacks, and which loss they maximize."""

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
import tensorflow as tf

from dlcli.attacks import gradient
from dlcli.tasks.attack_target import AttackTarget
from dlcli.workflow.attack import plan as plans
from dlcli.workflow.attack.kinds import (
    ATTACKS_BY_OPTION,
    ITERATED,
    NUM_STEPS,
    ONLY_NORM,
    SUITE,
    WITHOUT_GRADIENTS,
    Kind,
)
from dlcli.workflow.attack.plan import Plan

PLAN = Plan(
    kind="pgd",
    eps=(0.1, 0.2),
    norm="linf",
    steps=None,
    step_size=None,
    restarts=3,
    loss="cross-entropy",
    target=None,
    seed=0,
    batch_size=32,
    num_saved=None,
)


def test_every_attack_in_the_tables_exists() -> None:
    named = {*ITERATED, *WITHOUT_GRADIENTS, *SUITE, *ONLY_NORM, *NUM_STEPS, *sum(ATTACKS_BY_OPTION.values(), ())}
    assert named == set(get_args(Kind))
    assert set(ATTACKS_BY_OPTION["steps"]) == set(NUM_STEPS)


@pytest.mark.parametrize(
    ("changes", "steps", "size"),
    [
        ({}, 40, 2.5 / 40),
        ({"steps": 5}, 5, 0.5),
        ({"kind": "mi-fgsm"}, 10, 0.1),  # Dong et al. 2018: eps / steps
        ({"step_size": 0.3}, 40, 0.3),
        ({"kind": "fgsm"}, 1, 2.5),
    ],
)
def test_default_steps(changes: dict[str, Any], steps: int, size: float) -> None:
    plan = replace(PLAN, **changes)
    assert (plan.num_steps, plan.size_of_step) == (steps, pytest.approx(size))


def test_recorded_settings_are_those_that_the_attack_uses() -> None:
    assert PLAN.settings()["steps"] == 40
    assert {"step_size", "restarts", "loss", "target"} <= PLAN.settings().keys()
    assert replace(PLAN, kind="noise").settings().keys().isdisjoint(ATTACKS_BY_OPTION)
    assert replace(PLAN, kind="square").settings().keys() & ATTACKS_BY_OPTION.keys() == {"steps"}


@pytest.mark.parametrize(
    ("changes", "num_classes", "loss"),
    [
        ({}, 10, gradient.cross_entropy),
        ({"loss": "margin"}, 10, gradient.margin),
        ({"kind": "square"}, 10, gradient.margin),
        ({"kind": "apgd-dlr"}, 3, gradient.logits_ratio),
        ({"kind": "apgd-dlr"}, 2, gradient.margin),  # the ratio needs three logits
    ],
)
def test_losses(changes: dict[str, Any], num_classes: int, loss: gradient.Loss) -> None:
    target: Any = type("Target", (AttackTarget,), {"num_classes": num_classes, "__init__": lambda self: None})()
    assert plans.attack_loss(replace(PLAN, **changes), target) is loss


def test_a_minimal_attack_counts_only_within_the_budget_and_is_computed_once() -> None:
    calls = []

    def find(x: np.ndarray, label: np.ndarray) -> np.ndarray:
        calls.append(len(x))
        return x + np.array([3.0, 0.0, 30.0], np.float32)[:, None, None]  # lengths 6, 0 and 60

    attack = plans._within_budget(find)
    x, label, index = np.ones((3, 2, 2), np.float32), np.zeros(3, np.int32), np.arange(3)
    assert (attack(x, label, 6.0, index)[:, 0, 0] == [4, 1, 1]).all()
    assert (attack(x, label, 5.9, index) == x).all()
    assert (attack(x, label, 60.0, index)[:, 1, 1] == [4, 1, 31]).all()
    assert calls == [3]
    attack(x[:1], label[:1], 6.0, index[1:2])  # other samples
    assert calls == [3, 1]
    attack(x[:1] + 1, label[:1], 6.0, index[1:2])  # others again, of the same number among theirs
    assert calls == [3, 1, 1]


@pytest.mark.parametrize("kind", ["fgsm", "pgd", "apgd"])
def test_an_attack_is_traced_once_for_all_budgets_and_samples(kind: Kind) -> None:
    traced = []

    def logits(pixels: Any) -> Any:
        traced.append(1)
        return tf.reshape(pixels, [-1, 4])

    attacked = plans.Attacked(AttackTarget(logits, (2, 2, 1), 4))
    plan = replace(PLAN, kind=kind, loss="margin", steps=None if kind == "fgsm" else 5)
    found, counts = [], []
    for num, eps in ((3, 10.0), (2, 20.0)):
        x, label = np.full((num, 2, 2, 1), 100.0, np.float32), np.zeros(num, np.int32)
        found.append(attacked.attack(replace(plan, eps=(eps / 255,)))(x, label, eps, np.arange(num)))
        attacked.gradients(plan)(x, label)
        attacked.probabilities(x)
        counts.append(len(traced))
    assert counts[0] == counts[1]
    assert [np.abs(adversarial - 100).max() for adversarial in found] == pytest.approx([10, 20])
