"""Optimizers, learning rates and settings of the loop by the ``train`` section."""

import math
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlcli.recipe.sections.train import Train
from dlcli.tasks import optimization

OPTIMIZERS: list[dict[str, Any]] = [
    {"kind": "sgd"},
    {"kind": "sgd", "momentum": 0.9, "nesterov": True},
    {"kind": "rmsprop"},
    {"kind": "rmsprop", "momentum": 0.5},
    {"kind": "adam"},
    {"kind": "adamw"},
]


def train_of(**keys: Any) -> Train:
    return Train.model_validate(keys)


@pytest.mark.parametrize("ema", [None, 0.99])
@pytest.mark.parametrize("section", OPTIMIZERS, ids=lambda section: "_".join(section))
def test_slots_are_the_values_that_the_optimizer_stores(section: dict[str, Any], ema: float | None) -> None:
    train = train_of(optimizer=section, ema=ema)
    weights = [keras.Variable(np.ones((3, 5)))]
    optimizer = optimization.make_optimizer(train.optimizer, weights, learning_rate=0.1, ema=ema)
    optimizer.build(weights)
    stored = sum(math.prod(variable.shape) for variable in optimizer.variables if variable.shape == (3, 5))
    assert optimization.slots_per_weight(train) == stored / 15


@pytest.mark.parametrize("kind", ["sgd", "rmsprop", "adam", "adamw"])
def test_weight_decay_spares_biases_and_normalization(kind: str) -> None:
    section = train_of(optimizer={"kind": kind, "weight_decay": 0.5}).optimizer
    weights = [keras.Variable(np.ones((2, 2))), keras.Variable(np.ones(2)), keras.Variable(1.0)]
    optimizer = optimization.make_optimizer(section, weights, learning_rate=0.1, ema=None)
    optimizer.apply([tf.zeros(weight.shape) for weight in weights], weights)
    # decoupled: each step subtracts learning_rate * weight_decay * weight
    assert [float(np.mean(weight)) for weight in weights] == pytest.approx([0.95, 1.0, 1.0])


@pytest.mark.parametrize(
    ("section", "after_warmup"),
    [
        ({"kind": "constant"}, lambda step: 1.0),
        ({"kind": "plateau"}, lambda step: 1.0),
        ({"kind": "step", "every": 1.5, "factor": 0.1}, lambda step: 0.1 ** (step // 6)),
        ({"kind": "exponential", "factor": 0.5}, lambda step: 0.5 ** (step / 4)),
        # 5 epochs less 2 of warmup: 12 steps, of which the last has the final rate
        ({"kind": "cosine", "final": 0.2}, lambda step: 0.2 + 0.8 * (1 + math.cos(math.pi * step / 11)) / 2),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_rates_with_warmup(section: dict[str, Any], after_warmup: Any) -> None:
    schedule = train_of(schedule={**section, "warmup_epochs": 2}).schedule
    rate = optimization.make_rate(schedule, learning_rate=3.0, epochs=5, steps_per_epoch=4)
    rates = [float(rate(tf.constant(step, tf.int64))) for step in range(20)]
    rising = [(step + 1) / 9 for step in range(8)]
    assert rates == pytest.approx([3.0 * factor for factor in (*rising, *map(after_warmup, range(12)))], rel=1e-5)


def test_the_last_step_has_the_full_rate_however_long_the_warmup() -> None:
    schedule = train_of(schedule={"kind": "cosine", "warmup_epochs": 100}).schedule
    rate = optimization.make_rate(schedule, learning_rate=3.0, epochs=1, steps_per_epoch=4)
    assert [float(rate(tf.constant(step, tf.int64))) for step in range(4)] == pytest.approx([0.75, 1.5, 2.25, 3.0])


def test_a_stage_has_its_own_rate_or_that_of_the_optimizer() -> None:
    train = train_of(
        optimizer={"kind": "sgd", "learning_rate": 0.5},
        stages=({"name": "head", "epochs": 2}, {"name": "all", "epochs": 3, "learning_rate": 0.01}),
    )
    stages = [
        optimization.make_stage(section, train, steps_per_epoch=4, prepare=lambda: None)
        for section in optimization.stage_sections(train)
    ]
    assert [(stage.name, stage.num_epochs, stage.learning_rate) for stage in stages] == [
        ("head", 2, 0.5),
        ("all", 3, 0.01),
    ]
    assert float(stages[1].rate(tf.constant(0, tf.int64))) == pytest.approx(0.01)
    assert float(stages[1].optimizer([]).learning_rate) == pytest.approx(0.01)
    assert [section.epochs for section in optimization.stage_sections(train_of(epochs=7))] == [7]


def test_settings_of_the_loop() -> None:
    train = train_of(
        precision="mixed_float16",
        gradient_accumulation=2,
        schedule={"kind": "plateau", "metric": "train_loss", "minimum": 0.001},
        early_stopping={"patience": 3},
        checkpoint={"minutes": 1.5},
    )
    settings = optimization.make_settings(train, best_metric="val_accuracy")
    assert settings.plateau is not None
    assert settings.early_stopping is not None
    assert (settings.plateau.metric, settings.plateau.minimum) == ("train_loss", 0.001)
    assert (settings.early_stopping.metric, settings.early_stopping.patience) == ("val_accuracy", 3)
    assert (settings.checkpoint_seconds, settings.num_parts, settings.loss_scaling) == (90.0, 2, True)
    plain = optimization.make_settings(train_of(checkpoint={"minutes": None}), best_metric="val_loss")
    assert (plain.plateau, plain.early_stopping, plain.clipping, plain.loss_scaling) == (None, None, None, False)
    assert plain.checkpoint_seconds is None
