"""The memory of training, counted by hand for a small network."""

import keras

from dlcli.report.cost.layer_table import layer_table
from dlcli.report.cost.training_memory import memory_text, training_memory


def table(*, frozen: bool = False):
    inputs = keras.Input((8,))
    first = keras.layers.Dense(4, name="first", trainable=not frozen)
    x = first(inputs)
    return layer_table(keras.Model(inputs, keras.layers.Dense(2, name="second")(x)))


def test_every_part_is_counted() -> None:
    memory = training_memory(table(), batch_size=10, slots_per_weight=2, bytes_per_activation=4)
    weights = (8 * 4 + 4) + (4 * 2 + 2)
    assert memory.as_dict() == {
        "weights": 4 * weights,
        "gradients": 4 * weights,
        "optimizer": 2 * 4 * weights,
        "activations": 10 * 4 * (8 + 4 + 2),
        "total": 4 * 4 * weights + 560,
    }


def test_frozen_layers_need_neither_gradients_nor_activations() -> None:
    memory = training_memory(table(frozen=True), batch_size=10, slots_per_weight=1, bytes_per_activation=2)
    assert memory.weights == 4 * 46
    assert memory.gradients == memory.optimizer == 4 * 10
    assert memory.activations == 10 * 2 * (4 + 2)  # the inputs of the first trainable layer, and its outputs


def test_the_line_of_text() -> None:
    memory = training_memory(table(), batch_size=2**20, slots_per_weight=0, bytes_per_activation=4)
    assert memory_text(memory, 2**20) == (
        "Memory to train with batches of 1048576: at least 56.0 MiB "
        "(weights 0.0, gradients 0.0, optimizer 0.0, activations 56.0)"
    )
