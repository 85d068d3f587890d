"""A small problem that trains in a moment, and the parts of a loop around it."""

import csv
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlcli.data.augmentation.augmentation import Augmentation, RandAugment, RandomErasing
from dlcli.data.augmentation.mixup import Mixing
from dlcli.data.images.batches import Batches
from dlcli.rundir.directory import RunDir
from dlcli.training import loop, schedule
from dlcli.training.objectives import classification as classification_objectives
from dlcli.training.objectives import objective
from dlcli.training.team import Team

NUM_SAMPLES = 22  # with batches of 8, the last one of an epoch has 6
NUM_CLASSES = 3

AUGMENTATION = Augmentation(
    rotation_range=20.0,
    width_shift_range=0.2,
    height_shift_range=1,
    brightness_range=(0.8, 1.2),
    shear_range=5.0,
    zoom_range=(0.9, 1.1),
    channel_shift_range=9.0,
    fill_mode="reflect",
    cval=0.0,
    horizontal_flip=True,
    vertical_flip=False,
    random_crop=None,
    color_jitter=None,
    random_erasing=RandomErasing(0.5, (0.1, 0.2), (0.5, 2.0), 0.0),
    rand_augment=RandAugment(1, 5.0),
)


def make_data(
    *,
    seed: int | None,
    batch_size: int = 8,
    num_samples: int = NUM_SAMPLES,
    augmentation: Augmentation | None = None,
    mixing: Mixing | None = None,
) -> Batches:
    rng = np.random.default_rng(7)
    labels = (np.arange(num_samples) % NUM_CLASSES).astype(np.int32)
    pixels = rng.integers(0, 200, (num_samples, 6, 6, 1)).astype(np.uint8) + (labels * 25)[:, None, None, None].astype(
        np.uint8
    )
    return Batches(
        labels=labels,
        pixels=pixels,
        load=lambda i: pixels[i],
        shape=(6, 6, 1),
        batch_size=batch_size,
        seed=seed,
        augmentation=augmentation,
        mixing=mixing,
        num_classes=NUM_CLASSES,
    )


def make_dense_model() -> keras.Model:
    """The quickest to trace that has batch normalization and dropout."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 1))
    x = keras.layers.Flatten()(inputs)
    x = keras.layers.BatchNormalization(name="norm", momentum=0.9)(x)
    x = keras.layers.Dropout(0.3)(x)
    return keras.Model(inputs, keras.layers.Dense(NUM_CLASSES, name="logits")(x))


def make_model(
    *, dropout: float = 0.3, batch_norm: bool = True, seed: int = 0, l2: float | None = None, policy: str = "float32"
) -> keras.Model:
    keras.backend.clear_session()  # the policy too
    keras.mixed_precision.set_dtype_policy(policy)
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((6, 6, 1))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    regularizer = None if l2 is None else keras.regularizers.L2(l2)
    x = keras.layers.Conv2D(4, 3, activation="relu", kernel_regularizer=regularizer, name="conv")(x)
    if batch_norm:
        x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.Flatten()(x)
    if dropout:
        x = keras.layers.Dropout(dropout)(x)
    logits = keras.layers.Dense(NUM_CLASSES, name="logits", dtype="float32")(x)
    keras.mixed_precision.set_dtype_policy("float32")
    return keras.Model(inputs, logits)


def make_objective(**keys: Any) -> objective.Objective:
    return classification_objectives.classification(
        num_classes=NUM_CLASSES, **{"label_smoothing": 0.0, "class_weights": None, **keys}
    )


class Silence:
    """An observer that keeps the rows of epochs."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def stage(self, name: str, num_epochs: int) -> None: ...

    def progress(self, *args: Any) -> None: ...

    def stopping(self) -> None: ...

    def epoch(self, row: dict[str, Any], num_epochs: int, is_best: bool) -> None:
        self.rows.append(row)


def outcome(trained: loop.Loop, run: Path) -> dict[str, Any]:
    """All that a run leaves: every variable, and metrics.csv but for the seconds."""
    with open(run / "metrics.csv", newline="") as file:
        rows = [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]
    arrays = {group: [np.asarray(v) for v in members] for group, members in trained._variables().items()}
    return {"rows": rows, "arrays": arrays, "best": trained.state.best, "plateau": trained.state.plateau}


def assert_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one["rows"] == other["rows"]
    assert (one["best"], one["plateau"]) == (other["best"], other["plateau"])
    for group, arrays in one["arrays"].items():
        for a, b in zip(arrays, other["arrays"][group], strict=True):
            np.testing.assert_array_equal(a, b)


class StopAt(Silence):
    """Sends this process a signal once ``step`` steps were taken."""

    def __init__(self, step: int, number: int) -> None:
        super().__init__()
        self._left = step
        self._number = number

    def progress(self, epoch: int, num_epochs: int, step: int, *rest: Any) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), self._number)


LoopMaker = Callable[..., loop.Loop]


@pytest.fixture
def make_loop(tmp_path: Path) -> LoopMaker:
    """Makes a loop in a run directory of its own, with everything random switched on."""
    return loop_maker(tmp_path)


def loop_maker(folder: Path) -> LoopMaker:
    """What makes loops with everything random switched on, in run directories below a folder."""

    def make(
        name: str = "run",
        *,
        stages: tuple[tuple[str, int, float], ...] = (("train", 3, 1e-2),),
        model: keras.Model | None = None,
        observer: Any = None,
        measure: loop.Measure | None = None,
        team: Team | None = None,
        **settings: Any,
    ) -> loop.Loop:
        run = RunDir(folder / name)
        run.path.mkdir(exist_ok=True)
        model = model or make_dense_model()
        data = make_data(seed=5)

        def optimizer(variables: Any, rate: float) -> keras.optimizers.Optimizer:
            ema = settings.get("ema", False)
            return keras.optimizers.Adam(rate, use_ema=ema, ema_momentum=0.5 if ema else 0.0)

        return loop.Loop(
            run=run,
            model=model,
            train_objective=make_objective(),
            validation_objective=make_objective(),
            train_data=data,
            validation_data=make_data(seed=None, num_samples=13),
            stages=[
                loop.Stage(
                    name=stage,
                    num_epochs=epochs,
                    rate=schedule.cosine(learning_rate=rate, final=0.1, num_steps=epochs * data.num_steps),
                    learning_rate=rate,
                    optimizer=lambda variables, rate=rate: optimizer(variables, rate),
                    prepare=lambda: None,
                )
                for stage, epochs, rate in stages
            ],
            settings=loop.Settings(**{"best_metric": "val_loss", **settings}),
            observer=observer or Silence(),
            validation_measure=measure,
            team=team,
        )

    return make


@pytest.fixture
def uncompiled() -> Iterator[None]:
    """Runs the step without compiling it, which takes most of the time of a short run."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)
