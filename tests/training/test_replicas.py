"""The training step under a strategy of two replicas gives the weights that one device gives."""

from pathlib import Path
from typing import Any

import numpy as np
import processes  # type: ignore[import-not-found]
import pytest


def train(strategy: Any, *, num_samples: int, num_parts: int, mixes: bool) -> dict[str, np.ndarray]:
    """Trains three epochs in batches of 8, with all that is decided over the whole batch; gives weights and results."""
    import keras
    from small_problem import AUGMENTATION, NUM_CLASSES, make_data, make_objective  # type: ignore[import-not-found]

    from dlcli.data.augmentation.mixup import Mixing
    from dlcli.training import schedule
    from dlcli.training.step import Clipping, EvaluationStep, TrainStep

    keras.utils.set_random_seed(0)
    random = {"augmentation": AUGMENTATION, "mixing": Mixing(0.4, 1.0)} if mixes else {}
    data = make_data(seed=5, num_samples=num_samples, **random)
    validation = make_data(seed=None, num_samples=num_samples)
    with strategy.scope():
        model = keras.Sequential(
            [
                keras.Input((6, 6, 1)),
                keras.layers.Rescaling(1 / 255),
                keras.layers.Conv2D(4, 3, activation="relu", kernel_regularizer=keras.regularizers.L2(0.01)),
                keras.layers.Flatten(),
                keras.layers.Dense(NUM_CLASSES),
            ]
        )
        optimizer = keras.optimizers.Adam(1e-2, use_ema=True, ema_momentum=0.5)
        optimizer.build(model.trainable_variables)
        step = TrainStep(
            model=model,
            optimizer=optimizer,
            objective=make_objective(label_smoothing=0.1, class_weights=(1.0, 2.0, 0.5)),
            data=data,
            rate=schedule.cosine(learning_rate=1e-2, final=0.1, num_steps=3 * data.num_steps),
            clipping=Clipping("global_norm", 0.5),
            num_parts=num_parts,
            part_size=8 // num_parts,
            loss_scaling=False,
        )
        evaluation = EvaluationStep(model=model, objective=make_objective(), data=validation)
    for epoch in range(3):
        step.reset()
        assert step.run(data.source(epoch), 0, data.num_steps)
    weights = [variable.numpy() for variable in model.trainable_variables]
    optimizer.finalize_variable_values(model.trainable_variables)
    evaluation.run(validation.source(0), 0, validation.num_steps)
    results = {"train": step.results(), "validation": evaluation.results()}
    return {
        **{f"weights{i}": array for i, array in enumerate(weights)},
        **{f"average{i}": variable.numpy() for i, variable in enumerate(model.trainable_variables)},
        **{f"{part}_{name}": np.array(v) for part, values in results.items() for name, v in values.items()},
    }


def train_on_one_and_two(output: Path, cases: list[dict[str, int]]) -> None:
    """In a process of its own: the number of devices is fixed when TensorFlow starts."""
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    assert two.num_replicas_in_sync == 2
    for number, case in enumerate(cases):
        for name, strategy in (("one", tf.distribute.get_strategy()), ("two", two)):
            np.savez(output / f"{number}-{name}.npz", **train(strategy, **case))


CASES = [
    {"num_samples": 22, "num_parts": 1, "mixes": False},  # a last batch of 6: 3 and 3
    {"num_samples": 21, "num_parts": 2, "mixes": True},  # of 5: 3 and 2
    {"num_samples": 17, "num_parts": 1, "mixes": True},  # of 1: the second replica has none
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("replicas")
    processes.call(train_on_one_and_two, folder, CASES, folder=folder).expect(0)
    return folder


@pytest.mark.parametrize("number", range(len(CASES)), ids=[str(case) for case in CASES])
def test_two_replicas_give_the_weights_of_one(trained: Path, number: int) -> None:
    one, two = np.load(trained / f"{number}-one.npz"), np.load(trained / f"{number}-two.npz")
    assert one.files == two.files
    assert len(one.files) == 4 + 4 + 3 + 2
    for name in one.files:
        np.testing.assert_allclose(two[name], one[name], rtol=1e-5, atol=1e-5, err_msg=name)
