"""The training step and predictions under a strategy of several replicas are those of one device."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import processes  # type: ignore[import-not-found]
import pytest

pytestmark = pytest.mark.slow  # processes that start TensorFlow with several devices; test_parts.py needs one device


def moved(x: Any, label: Any, start: Any) -> Any:
    """An attack that depends on its random start."""
    return x + 40.0 * start


@contextlib.contextmanager
def counted_sums() -> Iterator[list[int]]:
    """The number of values of each tensor that a replica sums with the others, when a step is traced."""
    import tensorflow as tf

    original = tf.distribute.ReplicaContext.all_reduce
    sizes: list[int] = []

    def all_reduce(context: Any, operation: Any, value: Any, *arguments: Any, **options: Any) -> Any:
        sizes.extend(int(np.prod(tensor.shape)) for tensor in tf.nest.flatten(value))
        return original(context, operation, value, *arguments, **options)

    tf.distribute.ReplicaContext.all_reduce = all_reduce
    try:
        yield sizes
    finally:
        tf.distribute.ReplicaContext.all_reduce = original


def train(strategy: Any, *, num_samples: int, num_parts: int, mixes: bool, draws: bool) -> dict[str, np.ndarray]:
    """Trains three epochs in batches of 8, with all that is decided over the whole batch; gives weights and results.

    Args:
        draws: whether there are dropout, batch normalization and adversarial training.
    """
    import keras
    import tensorflow as tf
    from small_problem import AUGMENTATION, NUM_CLASSES, make_data, make_objective  # type: ignore[import-not-found]

    from dlcli.data.augmentation.mixup import Mixing
    from dlcli.replicas import divided
    from dlcli.training import schedule
    from dlcli.training.step import Adversary, Clipping, EvaluationStep, TrainStep, prediction

    keras.utils.set_random_seed(0)
    random = {"augmentation": AUGMENTATION, "mixing": Mixing(0.4, 1.0)} if mixes else {}
    data = make_data(seed=5, num_samples=num_samples, **random)
    validation = make_data(seed=None, num_samples=num_samples)
    adversary = Adversary(moved, 0.4, seed=3) if draws else None
    with strategy.scope():
        model = keras.Sequential(
            [
                keras.Input((6, 6, 1)),
                keras.layers.Rescaling(1 / 255),
                keras.layers.Conv2D(4, 3, activation="relu", kernel_regularizer=keras.regularizers.L2(0.01)),
                *((keras.layers.BatchNormalization(momentum=0.5), keras.layers.Dropout(0.3)) if draws else ()),
                keras.layers.Flatten(),
                keras.layers.Dense(NUM_CLASSES),
            ]
        )
        optimizer = keras.optimizers.AdamW(1e-2, weight_decay=0.1, use_ema=True, ema_momentum=0.5)
        optimizer.build(model.trainable_variables)
        step = TrainStep(
            model=model,
            optimizer=optimizer,
            objective=make_objective(label_smoothing=0.1, class_weights=(1.0, 2.0, 0.5)),
            data=data,
            rate=schedule.cosine(learning_rate=1e-2, final=0.1, num_steps=3 * data.num_steps),
            clipping=Clipping("global_norm", 0.5),
            num_parts=num_parts,
            loss_scaling=False,
            adversary=adversary,
            rate_factor=(lambda variable: 0.1 if variable.name == "bias" else 1.0) if draws else None,
        )
        evaluation = EvaluationStep(model=model, objective=make_objective(), data=validation, adversary=adversary)
    with counted_sums() as sizes:
        for epoch in range(3):
            step.reset()
            assert step.run(data.source(epoch), 0, data.num_steps)
    weights = [variable.numpy() for variable in model.variables]
    optimizer.finalize_variable_values(model.trainable_variables)
    evaluation.run(validation.source(0), 0, validation.num_steps)
    outputs = np.concatenate([logits for (logits,) in prediction(model, validation)()])
    doubled = tf.function(divided(lambda x, factor: model(x, training=False) * factor))(np.ones((1, 6, 6, 1)), 2.0)
    results = {"train": step.results(), "validation": evaluation.results()}
    return {
        "num_summed": np.array(sum(sizes)),
        "outputs": outputs,
        "doubled": doubled.numpy(),  # of one sample, which one replica alone has
        **{f"weights{i}": array for i, array in enumerate(weights)},
        **{f"average{i}": variable.numpy() for i, variable in enumerate(model.trainable_variables)},
        **{f"{part}_{name}": np.array(v) for part, values in results.items() for name, v in values.items()},
    }


def train_cases(output: Path, cases: list[dict[str, int]], num_replicas: int) -> None:
    """In a process of its own: the number of devices is fixed when TensorFlow starts, and the keys of the all-reduces
    of two strategies in one process collide."""
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * num_replicas)
    strategy = tf.distribute.get_strategy()
    if num_replicas > 1:
        strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(num_replicas)])
    assert strategy.num_replicas_in_sync == num_replicas
    for number, (case, *numbers) in enumerate(cases):
        if num_replicas in (1, *numbers):
            np.savez(output / f"{number}-{num_replicas}.npz", **train(strategy, **case))


CASES = [  # and the numbers of replicas
    ({"num_samples": 22, "num_parts": 1, "mixes": False, "draws": False}, 2),  # a last batch of 6: 3 and 3
    ({"num_samples": 21, "num_parts": 2, "mixes": False, "draws": True}, 2),  # of 5: 2 and 3
    ({"num_samples": 17, "num_parts": 6, "mixes": True, "draws": True}, 2, 3),  # of 1: one replica alone has it
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights and results of each case and number of replicas."""
    folder: Path = tmp_path_factory.mktemp("replicas")
    for num_replicas in (1, 2, 3):
        processes.call(train_cases, folder, CASES, num_replicas, folder=folder).expect(0)
    return folder


@pytest.mark.parametrize(
    ("number", "num_replicas"),
    [(number, n) for number, (_, *numbers) in enumerate(CASES) for n in numbers],
)
def test_several_replicas_give_the_weights_of_one(trained: Path, number: int, num_replicas: int) -> None:
    one, several = np.load(trained / f"{number}-1.npz"), np.load(trained / f"{number}-{num_replicas}.npz")
    assert one.files == several.files
    # weights, averages, results; with draws also four variables of batch normalization and a seed, robust accuracy
    assert len(one.files) - 3 == (9 + 6 + 3 + 3 if CASES[number][0]["draws"] else 4 + 4 + 3 + 2)
    assert len(one["outputs"]) == CASES[number][0]["num_samples"]
    for name in one.files[1:]:
        np.testing.assert_allclose(several[name], one[name], rtol=1e-5, atol=1e-5, err_msg=name)


def test_gradients_are_summed_once(trained: Path) -> None:
    """Each of the two replicas sums besides them the weight of its samples, and four sums for the results."""
    two = np.load(trained / "0-2.npz")
    num_weights = sum(two[f"weights{i}"].size for i in range(4))
    assert two["num_summed"] == 2 * (num_weights + 1 + 4)
