"""A loss of sums over a whole batch: under replicas, and with random and moving state in the model."""

from pathlib import Path
from typing import Any

import numpy as np
import processes  # type: ignore[import-not-found]
import pytest
import tensorflow as tf
from dense_problem import NUM_CLASSES, Pixels, evaluate, make_model, train  # type: ignore[import-not-found]

from dlcli.training.objectives.objective import BatchLoss, Objective, Tally
from dlcli.training.objectives.overlap_losses import Tversky, dice
from dlcli.training.objectives.segmentation import segmentation


def sum_of_outputs() -> Objective:
    """Reports the sum of the outputs twice: as the loss, from the pass of the sums; and as a metric."""

    def sums(outputs: Any, batch: Any) -> Any:
        return tf.reshape(tf.reduce_sum(outputs), [1])

    return Objective(
        loss=lambda outputs, batch: tf.zeros_like(batch["weight"]),
        metrics={},
        batch_loss=BatchLoss(1, sums, lambda total: total[0]),
        tally=Tally(("sum",), 1, sums, lambda total: total.tolist()),
    )


def test_the_pass_of_the_sums_draws_the_dropout_of_the_pass_of_the_gradients() -> None:
    """Otherwise the value would not be that of the outputs."""
    model = make_model(dropout=0.5)
    regularization = float(sum(model.losses))
    _, results = train(sum_of_outputs(), num_parts=2, learning_rate=0.0, model=model)
    assert results["loss"] - regularization == pytest.approx(results["sum"], rel=1e-5)


def test_the_pass_of_the_sums_leaves_the_models_state_as_it_was() -> None:
    plain = {"num_classes": NUM_CLASSES, "label_smoothing": 0.0, "class_weights": None}
    states = []
    for overlaps in ((), (dice(),)):
        model = make_model(dropout=0.5, batch_norm=True)
        train(segmentation(**plain, overlaps=overlaps), num_parts=2, learning_rate=0.0, model=model)
        states.append([variable.numpy() for variable in model.non_trainable_variables])
    assert len(states[0]) == 3  # mean, variance, seed
    for one, other in zip(*states, strict=True):
        np.testing.assert_array_equal(one, other)


# Replicas -------------------------------------------------------------------------------------------------------------


def train_on_one_and_two(output: Path, num_parts: int) -> None:
    """In a process of its own: the number of devices is fixed when TensorFlow starts."""
    tf.config.set_visible_devices([], "GPU")
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    assert two.num_replicas_in_sync == 2
    objective = segmentation(
        num_classes=NUM_CLASSES,
        label_smoothing=0.0,
        class_weights=(1.0, 2.0, 0.5),
        overlaps=(dice(), Tversky(0.3, 0.7, weight=2.0), dice(over="image")),
    )
    data = Pixels(num_samples=9)  # with batches of 8, a last one of 1: the second replica has none
    for name, strategy in (("one", tf.distribute.get_strategy()), ("two", two)):
        with strategy.scope():
            model, results = train(objective, data=data, num_parts=num_parts, num_epochs=2)
            results |= {f"val_{key}": value for key, value in evaluate(model, objective, data).items()}
        weights = {f"weights{i}": np.asarray(v) for i, v in enumerate(model.trainable_variables)}
        np.savez(output / f"{name}.npz", **weights, **{key: np.array(value) for key, value in results.items()})


@pytest.mark.slow  # two replicas with other losses are in test_replicas.py
@pytest.mark.parametrize("num_parts", [1, 2])
def test_two_replicas_give_the_weights_and_losses_of_one(tmp_path: Path, num_parts: int) -> None:
    processes.call(train_on_one_and_two, tmp_path, num_parts, folder=tmp_path).expect(0)
    one, two = np.load(tmp_path / "one.npz"), np.load(tmp_path / "two.npz")
    assert one.files == two.files
    assert len(one.files) == 4 + 4 + 3
    for name in one.files:
        np.testing.assert_allclose(two[name], one[name], rtol=2e-5, atol=2e-6, err_msg=name)
