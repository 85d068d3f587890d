"""Turns the recipe's ``train`` section into stages, optimizers, learning-rate schedules and settings of the loop."""

from collections.abc import Callable, Sequence
from typing import Any

import keras

from dlcli.recipe.sections.optimizer import Adam, Adamw, AnyOptimizer, Rmsprop, Sgd
from dlcli.recipe.sections.schedule import AnySchedule, Constant, Cosine, Exponential, Plateau, StepSchedule
from dlcli.recipe.sections.train import CommonStage, CommonTrain
from dlcli.training import loop, schedule
from dlcli.training.step import Clipping


def stage_sections(train: CommonTrain) -> tuple[CommonStage, ...]:
    """The stages of training: those of the recipe, or a single one with all epochs."""
    return train.stages or (CommonStage(name="train", epochs=train.epochs),)


def make_stage(
    section: CommonStage, train: CommonTrain, *, steps_per_epoch: int, prepare: Callable[[], loop.Parts | None]
) -> loop.Stage:
    """One stage of the loop; ``prepare`` freezes and unfreezes layers and returns the parts the stage runs with."""
    learning_rate = section.learning_rate or train.optimizer.learning_rate
    return loop.Stage(
        name=section.name,
        num_epochs=section.epochs,
        rate=make_rate(
            train.schedule, learning_rate=learning_rate, epochs=section.epochs, steps_per_epoch=steps_per_epoch
        ),
        learning_rate=learning_rate,
        optimizer=lambda variables: make_optimizer(
            train.optimizer, variables, learning_rate=learning_rate, ema=train.ema
        ),
        prepare=prepare,
    )


def make_optimizer(
    section: AnyOptimizer, variables: Sequence[Any], *, learning_rate: float, ema: float | None
) -> keras.optimizers.Optimizer:
    """A new optimizer for ``variables``; biases and normalization parameters are exempt from weight decay."""
    common: dict[str, Any] = {
        "learning_rate": learning_rate,
        "weight_decay": section.weight_decay or None,
        "use_ema": ema is not None,
        "ema_momentum": ema or 0.0,
    }
    optimizer: keras.optimizers.Optimizer
    match section:
        case Sgd():
            optimizer = keras.optimizers.SGD(momentum=section.momentum, nesterov=section.nesterov, **common)
        case Rmsprop():
            optimizer = keras.optimizers.RMSprop(
                rho=section.rho, momentum=section.momentum, epsilon=section.epsilon, **common
            )
        case Adamw():
            optimizer = keras.optimizers.AdamW(
                beta_1=section.beta_1, beta_2=section.beta_2, epsilon=section.epsilon, **common
            )
        case Adam():
            optimizer = keras.optimizers.Adam(
                beta_1=section.beta_1, beta_2=section.beta_2, epsilon=section.epsilon, **common
            )
    optimizer.exclude_from_weight_decay(var_list=[variable for variable in variables if len(variable.shape) <= 1])
    return optimizer


def slots_per_weight(train: CommonTrain) -> int:
    """Values that the optimizer stores per trainable weight, the exponential moving average included."""
    average = int(train.ema is not None)
    match train.optimizer:
        case Sgd(momentum=momentum):
            return average + (momentum > 0)
        case Rmsprop(momentum=momentum):
            return average + 1 + (momentum > 0)
        case Adam():  # AdamW too
            return average + 2


def make_rate(section: AnySchedule, *, learning_rate: float, epochs: int, steps_per_epoch: int) -> schedule.Rate:
    """The learning rate as a function of the step within a stage of ``epochs`` epochs."""
    warmup_steps = min(round(section.warmup_epochs * steps_per_epoch), epochs * steps_per_epoch - 1)
    match section:
        case Constant() | Plateau():
            rate = schedule.constant(learning_rate=learning_rate)
        case StepSchedule():
            rate = schedule.step_decay(
                learning_rate=learning_rate,
                every=section.every,
                factor=section.factor,
                steps_per_epoch=steps_per_epoch,
            )
        case Exponential():
            rate = schedule.exponential(
                learning_rate=learning_rate, factor=section.factor, steps_per_epoch=steps_per_epoch
            )
        case Cosine():
            rate = schedule.cosine(
                learning_rate=learning_rate, final=section.final, num_steps=epochs * steps_per_epoch - warmup_steps
            )
    return schedule.with_warmup(rate, warmup_steps=warmup_steps)


def make_settings(train: CommonTrain, *, best_metric: str) -> loop.Settings:
    """The settings of the loop for all stages; where the recipe names no metric, it is ``best_metric``."""
    plateau = early_stopping = clipping = None
    if isinstance(train.schedule, Plateau):
        section = train.schedule
        plateau = loop.Plateau(
            metric=section.metric or best_metric,
            patience=section.patience,
            factor=section.factor,
            min_delta=section.min_delta,
            minimum=section.minimum,
        )
    if train.early_stopping is not None:
        stopping = train.early_stopping
        early_stopping = loop.EarlyStopping(
            metric=stopping.metric or best_metric, patience=stopping.patience, min_delta=stopping.min_delta
        )
    if train.gradient_clipping is not None:
        clipping = Clipping(train.gradient_clipping.kind, train.gradient_clipping.value)
    minutes = train.checkpoint.minutes
    return loop.Settings(
        best_metric=best_metric,
        num_parts=train.gradient_accumulation,
        clipping=clipping,
        loss_scaling=train.precision == "mixed_float16",
        ema=train.ema is not None,
        xla=train.xla,
        plateau=plateau,
        early_stopping=early_stopping,
        checkpoint_seconds=None if minutes is None else 60 * minutes,
        checkpoint_steps=train.checkpoint.steps,
    )
