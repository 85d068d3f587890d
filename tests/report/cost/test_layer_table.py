"""The layer table: multiply-adds against closed forms and TensorFlow's profiler, sharing, nesting, memory, text."""

import json
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from dlcli.models.sequences.cells import JordanCell, LeakyCell
from dlcli.report.cost.layer_table import LayerTable, layer_table, table_text
from dlcli.report.cost.multiply_adds import Operations, operations
from dlcli.report.cost.training_memory import memory_text, training_memory


def table_of(layer: keras.layers.Layer, *shapes: tuple[int | None, ...]) -> LayerTable:
    inputs = [keras.Input(shape) for shape in shapes]
    outputs = layer(inputs[0]) if len(inputs) == 1 else layer(*inputs)
    return layer_table(keras.Model(inputs, outputs))


# Closed forms -----------------------------------------------------------------------------------------------------

CLOSED_FORMS = [
    (layers.Dense(7), (5,), Operations(5 * 7, 7)),
    (layers.Dense(7, use_bias=False), (3, 5), Operations(3 * 5 * 7)),
    (layers.Conv1D(4, 3, padding="same"), (10, 2), Operations(10 * 3 * 2 * 4, 10 * 4)),
    (layers.Conv1D(4, 3, dilation_rate=2), (10, 2), Operations(6 * 3 * 2 * 4, 6 * 4)),
    (layers.Conv2D(4, (3, 5), strides=2, padding="same"), (9, 12, 2), Operations(5 * 6 * 15 * 2 * 4, 5 * 6 * 4)),
    (layers.Conv2D(6, 3, groups=3, use_bias=False), (8, 8, 9), Operations(6 * 6 * 9 * (9 // 3) * 6)),
    (layers.Conv3D(4, 3), (5, 6, 7, 2), Operations(3 * 4 * 5 * 27 * 2 * 4, 3 * 4 * 5 * 4)),
    (layers.DepthwiseConv1D(3, depth_multiplier=2), (8, 5), Operations(6 * 3 * 5 * 2, 6 * 5 * 2)),
    (layers.DepthwiseConv2D(3, strides=2), (9, 9, 5), Operations(4 * 4 * 9 * 5, 4 * 4 * 5)),
    (layers.SeparableConv1D(6, 3), (8, 5), Operations(6 * (3 * 5 + 5 * 6), 6 * 6)),
    (layers.SeparableConv2D(7, 3, depth_multiplier=2), (8, 8, 5), Operations(36 * (9 * 10 + 10 * 7), 36 * 7)),
    (layers.Conv1DTranspose(4, 3, strides=2), (5, 2), Operations(5 * 3 * 2 * 4, 11 * 4)),
    (layers.Conv2DTranspose(4, 3, strides=2, padding="same"), (5, 6, 2), Operations(30 * 9 * 2 * 4, 10 * 12 * 4)),
    (layers.Conv3DTranspose(2, 2, use_bias=False), (2, 3, 4, 3), Operations(24 * 8 * 3 * 2)),
    (layers.Conv2DTranspose(3, 4, strides=2, padding="same"), (4, 6, 5), Operations(24 * 16 * 5 * 3, 8 * 12 * 3)),
    (layers.Conv2D(4, 3, dilation_rate=6, padding="same"), (9, 7, 2), Operations(63 * 9 * 2 * 4, 63 * 4)),
    (layers.DepthwiseConv2D(3, dilation_rate=2), (9, 9, 5), Operations(5 * 5 * 9 * 5, 5 * 5 * 5)),
    (layers.SeparableConv2D(7, 3, dilation_rate=2), (9, 8, 5), Operations(5 * 4 * (9 * 5 + 5 * 7), 5 * 4 * 7)),
    (layers.UpSampling2D(2, interpolation="bilinear"), (4, 5, 3), Operations(8 * 10 * 3 * 4)),
    (layers.UpSampling2D((2, 3)), (4, 5, 3), Operations()),
    (layers.Resizing(9, 11), (4, 5, 3), Operations(9 * 11 * 3 * 4)),
    (layers.Resizing(9, 11, interpolation="nearest"), (4, 5, 3), Operations()),
    (layers.EinsumDense("abc,cd->abd", output_shape=(3, 7), bias_axes="d"), (3, 5), Operations(3 * 5 * 7, 3 * 7)),
    (layers.EinsumDense("...c,cde->...de", output_shape=(4, 6)), (3, 5), Operations(3 * 5 * 4 * 6)),
    (layers.SimpleRNN(4), (9, 3), Operations(9 * 4 * (3 + 4), 9 * 4)),
    (layers.LSTM(4, return_sequences=True), (9, 3), Operations(9 * 4 * 4 * (3 + 4), 9 * 4 * 4)),
    (layers.GRU(4), (9, 3), Operations(9 * 3 * 4 * (3 + 4), 9 * 2 * 3 * 4)),  # reset_after has two biases
    (layers.GRU(4, reset_after=False, use_bias=False), (9, 3), Operations(9 * 3 * 4 * (3 + 4))),
    (layers.RNN(layers.LSTMCell(4)), (9, 3), Operations(9 * 4 * 4 * (3 + 4), 9 * 4 * 4)),
    (layers.RNN(LeakyCell(4, decay=0.9, learn_decay=True)), (9, 3), Operations(9 * 4 * (3 + 4), 9 * 4)),
    (layers.RNN(JordanCell(4)), (9, 3), Operations(9 * 4 * (3 + 4 + 4), 9 * (4 + 4))),
    (layers.Bidirectional(layers.LSTM(4)), (9, 3), Operations(2 * 9 * 4 * 4 * (3 + 4), 2 * 9 * 4 * 4)),
    (layers.TimeDistributed(layers.Conv2D(4, 3)), (6, 5, 5, 2), Operations(6 * 9 * 9 * 2 * 4, 6 * 9 * 4)),
    (layers.BatchNormalization(), (4, 5, 6), Operations(normalization=120)),
    (layers.LayerNormalization(), (4, 5), Operations(normalization=20)),
    (layers.MaxPooling2D(3, strides=2), (9, 9, 2), Operations(pooling=4 * 4 * 2 * 9)),
    (layers.AveragePooling1D(2), (9, 2), Operations(pooling=4 * 2 * 2)),
    (layers.GlobalAveragePooling3D(), (2, 3, 4, 5), Operations(pooling=120)),
]


@pytest.mark.parametrize(("layer", "shape", "expected"), CLOSED_FORMS, ids=lambda value: getattr(value, "name", ""))
def test_operations_of_a_layer(layer, shape, expected) -> None:
    table = table_of(layer, shape)
    assert table.rows[1].operations == expected
    assert table.operations == expected
    assert table.not_counted == ()


@pytest.mark.parametrize(
    "layer", [layers.Resizing(9, 9, interpolation="bicubic"), layers.Resizing(9, 9, crop_to_aspect_ratio=True)]
)
def test_other_interpolation_is_not_counted(layer) -> None:
    table = table_of(layer, (4, 5, 3))
    assert [(row.kind, row.receptive_field) for row in table.not_counted] == [("Resizing", None)]


def test_channels_first_costs_the_same() -> None:
    layer = layers.Conv2D(6, 3, data_format="channels_first")
    assert table_of(layer, (2, 8, 7)).operations == table_of(layers.Conv2D(6, 3), (8, 7, 2)).operations


def test_attention_of_several_heads() -> None:
    """Vaswani et al. 2017, section 3.2.2, with other sizes for queries and values."""
    (t, d), (s, e), heads, key_dim, value_dim = (5, 12), (7, 9), 3, 4, 6
    layer = layers.MultiHeadAttention(heads, key_dim, value_dim=value_dim)
    table = table_of(layer, (t, d), (s, e))
    width = heads * key_dim
    assert table.operations == Operations(
        t * d * width + s * e * width + s * e * heads * value_dim  # projections of queries, keys, values
        + t * s * heads * (key_dim + value_dim)  # scores, and means of the values
        + t * heads * value_dim * d,  # output
        t * width + s * width + s * heads * value_dim + t * d,
    )  # fmt: skip


def test_attention_by_dot_product() -> None:
    query, value = keras.Input((5, 8)), keras.Input((7, 8))
    table = layer_table(keras.Model([query, value], layers.Attention()([query, value])))
    assert table.operations == Operations(5 * 7 * 8 + 5 * 7 * 8)


def test_products_of_tensors() -> None:
    x, y = keras.Input((5, 4)), keras.Input((4, 3))
    product = keras.ops.matmul(x, y)._keras_history.operation
    assert operations(product, [(5, 4), (4, 3)], [(5, 3)]) == Operations(5 * 4 * 3)
    einsum = keras.ops.einsum("bij,bjk->bk", x, y)._keras_history.operation
    assert operations(einsum, [(5, 4), (4, 3)], [(3,)]) == Operations(5 * 4 * 3)
    trace = keras.ops.einsum("bij->bi", x)._keras_history.operation
    assert operations(trace, [(5, 4)], [(5,)]) is None


def test_layers_without_products_cost_none() -> None:
    for layer in (layers.Activation("relu"), layers.Dropout(0.5), layers.ZeroPadding2D(1), layers.Rescaling(2.0)):
        table = table_of(layer, (4, 4, 2))
        assert (table.operations, table.not_counted) == (Operations(), ())


@pytest.mark.parametrize(
    ("build", "multiply_adds", "activations"),
    [
        (keras.applications.VGG16, 15.470e9, 15_237_608),  # the 24M activations that are often quoted are a slip
        (keras.applications.ResNet50, 3.858e9, None),  # He et al. 2015, table 1: 3.8e9
        (keras.applications.Xception, 8.357e9, None),
    ],
)
def test_networks_of_the_literature(build, multiply_adds, activations) -> None:
    with keras.StatelessScope():  # no weights are allocated
        model = build(weights=None)
    table = layer_table(model)
    assert table.operations.multiply_adds == pytest.approx(multiply_adds, rel=2e-4)
    assert table.parameters == model.count_params()
    assert table.not_counted == ()
    if activations is not None:
        assert table.activations == activations


def test_agrees_with_the_profiler_of_tensorflow_on_a_plain_convnet() -> None:
    inputs = keras.Input((28, 28, 1))
    x = layers.Conv2D(32, 5, padding="same", activation="relu")(inputs)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Conv2D(64, 3, strides=2)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(256, activation="relu")(x)
    model = keras.Model(inputs, layers.Dense(10)(x))
    function = tf.function(lambda x: model(x)).get_concrete_function(tf.TensorSpec((1, 28, 28, 1)))
    options = tf.compat.v1.profiler.ProfileOptionBuilder(tf.compat.v1.profiler.ProfileOptionBuilder.float_operation())
    profile = tf.compat.v1.profiler.profile(
        function.graph, cmd="op", options=options.with_empty_output().order_by("float_ops").build()
    )
    # a chain: each node's total has its own operations and those of the nodes behind it
    by_kind = {}
    node = profile
    while node.children:
        node = node.children[0]
        by_kind[node.name] = node.float_ops
    assert by_kind["Conv2D"] + by_kind["MatMul"] == 2 * layer_table(model).operations.multiply_adds
    assert by_kind["BiasAdd"] == layer_table(model).operations.bias_additions


# Models -----------------------------------------------------------------------------------------------------------


def small_model() -> keras.Model:
    inputs = keras.Input((8, 8, 3), name="inputs")
    x = layers.Conv2D(4, 3, padding="same", use_bias=False, name="conv")(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.ReLU(name="relu")(x)
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(inputs, layers.Dense(2, activation="softmax", name="dense")(x), name="small")


def test_rows_and_totals() -> None:
    table = layer_table(small_model())
    assert [(row.name, row.kind) for row in table.rows] == [
        ("inputs", "InputLayer"),
        ("conv", "Conv2D"),
        ("norm", "BatchNormalization"),
        ("relu", "ReLU"),
        ("flatten", "Flatten"),
        ("dense", "Dense"),
    ]
    assert [row.output_shapes for row in table.rows] == [
        *(((8, 8, 3),), ((8, 8, 4),), ((8, 8, 4),), ((8, 8, 4),), ((256,),), ((2,),)),
    ]
    assert [(row.trainable, row.non_trainable) for row in table.rows] == [
        *((0, 0), (108, 0), (8, 8), (0, 0), (0, 0), (514, 0)),
    ]
    assert [row.activations for row in table.rows] == [192, 256, 256, 0, 0, 2]
    assert (table.parameters, table.trainable, table.non_trainable) == (638, 630, 8)
    assert table.activations == 192 + 256 + 256 + 2
    assert table.operations == Operations(64 * 27 * 4 + 512, 2, 256, 0)


def test_frozen_layers_are_not_trained() -> None:
    model = small_model()
    model.get_layer("conv").trainable = False
    table = layer_table(model)
    assert (table.trainable, table.non_trainable) == (630 - 108, 8 + 108)


def test_the_table_leaves_the_model_as_it_was() -> None:
    model = small_model()
    before = model.to_json()
    layer_table(model)
    assert model.to_json() == before
    assert model.get_layer("conv").output.shape == (None, 8, 8, 4)  # fails for a layer with several calls


def test_nested_models_are_opened_on_the_shapes_they_are_called_on() -> None:
    side = keras.Input((None, None, 3), name="any")
    features = layers.GlobalMaxPooling2D(name="pool")(layers.Conv2D(4, 3, name="conv")(side))
    backbone = keras.Model(side, features, name="backbone")
    sequence = keras.Sequential([keras.Input((4,)), layers.Dense(5, name="dense")], name="head")
    inputs = keras.Input((10, 12, 3), name="inputs")
    table = layer_table(keras.Model(inputs, sequence(backbone(inputs, training=False))))
    assert [row.name for row in table.rows] == ["inputs", "backbone/conv", "backbone/pool", "head/dense"]
    assert table.rows[1].output_shapes == ((8, 10, 4),)
    assert table.operations == Operations(80 * 27 * 4 + 20, 80 * 4 + 5, pooling=320)
    assert table.not_counted == ()


def test_a_shared_layer_counts_each_time_and_its_parameters_once() -> None:
    first, second = keras.Input((6,)), keras.Input((6,))
    shared = layers.Dense(4, name="shared")
    model = keras.Model([first, second], layers.Add(name="add")([shared(first), shared(second)]))
    table = layer_table(model)
    assert table.parameters == model.count_params() == 28
    rows = [row for row in table.rows if row.name == "shared"]
    assert [(row.trainable, row.shared) for row in rows] == [(28, False), (0, True)]
    assert table.operations.multiply_adds == 2 * 24
    assert "shared  " in table_text(table)


def test_a_sequential_model() -> None:
    model = keras.Sequential([keras.Input((6,), name="inputs"), layers.Dense(4), layers.Dense(3)])
    table = layer_table(model)
    assert (table.input_shapes, len(table.rows), table.operations.multiply_adds) == (((6,),), 3, 24 + 12)
    assert [row.output_shapes for row in table.rows] == [((6,),), ((4,),), ((3,),)]
    assert table.activations == 6 + 4 + 3


@pytest.mark.parametrize(
    ("shape", "first"),
    [
        ((20, 5), lambda: layers.LSTM(4)),
        ((20, 5), lambda: layers.Bidirectional(layers.GRU(4))),
        ((20,), lambda: layers.Embedding(10, 4)),
        ((8, 8, 3), lambda: layers.Flatten()),
        ((8, 8, 3), lambda: layers.Rescaling(0.5)),
        ((8, 8, 3), lambda: layers.Conv2D(4, 3)),
        ((8, 5), lambda: layers.TimeDistributed(layers.Dense(3))),
        ((8,), lambda: keras.Sequential([layers.Dense(3)])),
    ],
)
def test_a_sequential_model_has_the_shapes_of_a_functional_one(shape: tuple[int, ...], first: Any) -> None:
    layer = first()
    model = keras.Sequential([keras.Input(shape, name="inputs"), layer, layers.Dense(2, name="last")])
    inputs = keras.Input(shape, name="inputs")
    functional = keras.Model(inputs, model.layers[-1](layer(inputs)))
    assert [row.output_shapes for row in layer_table(model).rows] == [
        row.output_shapes for row in layer_table(functional).rows
    ]
    assert layer_table(model).activations == layer_table(functional).activations


class Fussy(layers.Layer):
    """Raises what it likes."""

    def call(self, x):
        return x

    def compute_output_spec(self, x):
        raise IndexError("not today")


def test_a_layer_that_cannot_be_read_is_named() -> None:
    model = keras.Sequential([keras.Input((6,)), layers.Dense(3)])
    model.layers[0].compute_output_spec = Fussy().compute_output_spec
    with pytest.raises(ValueError, match=r"the layer 'dense.*' \(Dense\) cannot be read: not today"):
        layer_table(model)


class Doubled(layers.Dense):
    """A subclass of a known layer, which does something else."""

    def call(self, inputs):
        return super().call(super().call(inputs))


def test_layers_that_are_not_known_are_listed() -> None:
    inputs = keras.Input((6,), name="inputs")
    x = keras.ops.matmul(inputs, keras.ops.ones((6, 6)))
    x = Doubled(6, name="doubled")(x)
    table = layer_table(keras.Model(inputs, layers.Dense(2)(x)))
    assert [(row.kind, row.operations) for row in table.not_counted] == [("Matmul", None), ("Doubled", None)]
    assert table.parameters == 42 + 14
    text = table_text(table)
    assert text.splitlines()[0].startswith("56 parameters, at least 12 multiply-adds, at least 20 activations")
    assert text.splitlines()[-1].endswith("doubled (Doubled).")
    assert "not counted" in text


def test_a_side_of_any_length_is_not_counted() -> None:
    table = table_of(layers.LSTM(4, return_sequences=True), (None, 3))
    row = table.rows[1]
    assert (row.output_shapes, row.activations, row.operations) == (((None, 4),), None, None)
    assert "?x4" in table_text(table)
    assert {row.kind for row in table.not_counted} == {"InputLayer", "LSTM"}


def test_several_outputs() -> None:
    table = table_of(layers.LSTM(4, return_sequences=True, return_state=True), (5, 3))
    assert table.rows[1].output_shapes == ((5, 4), (4,), (4,))
    assert table.rows[1].activations == 5 * 4 + 4 + 4


def test_a_model_made_of_python_code_is_refused() -> None:
    class Coded(keras.Model):
        def call(self, inputs):
            return inputs

    with pytest.raises(ValueError, match=r"functional or sequential model\. Received a Coded\."):
        layer_table(Coded())


# Memory and text --------------------------------------------------------------------------------------------------


def test_memory_of_training() -> None:
    table = layer_table(small_model())
    memory = training_memory(table, batch_size=32, slots_per_weight=2, bytes_per_activation=2)
    assert memory.as_dict() == {
        "weights": 638 * 4,
        "gradients": 630 * 4,
        "optimizer": 630 * 2 * 4,
        "activations": 706 * 32 * 2,
        "total": (638 + 630 + 1260) * 4 + 706 * 64,
    }
    assert training_memory(table, batch_size=1, slots_per_weight=0, bytes_per_activation=4).optimizer == 0


def test_what_is_frozen_at_the_bottom_is_not_kept() -> None:
    model = small_model()
    for name in ("conv", "norm"):
        model.get_layer(name).trainable = False
    table = layer_table(model)
    assert table.activations == 706
    assert (
        table.kept_activations == 256 + 2
    )  # the normalized maps, which relu and flatten leave in place, and the outputs
    model.trainable = False
    assert layer_table(model).kept_activations == 0


def test_memory_in_words() -> None:
    with keras.StatelessScope():
        table = layer_table(keras.applications.MobileNet(weights=None))
    memory = training_memory(table, batch_size=128, slots_per_weight=2, bytes_per_activation=4)
    assert memory_text(memory, 128) == (
        f"Memory to train with batches of 128: at least {memory.total / 2**20:,.1f} MiB "
        f"(weights 16.2, gradients 16.1, optimizer 32.3, activations {memory.activations / 2**20:,.1f})"
    )


def test_the_text_is_aligned_and_complete() -> None:
    lines = table_text(layer_table(small_model())).splitlines()
    assert lines[0] == "638 parameters, 7,424 multiply-adds, 706 activations for an input of 8x8x3"
    rows = lines[2:10]
    assert rows[0].split() == [
        "layer",
        "kind",
        "output",
        "parameters",
        "not",
        "trained",
        "activations",
        "MiB",
        "multiply-adds",
        "field",
    ]
    assert rows[2].split() == ["conv", "Conv2D", "8x8x4", "108", "0", "256", "0.00", "6,912", "3x3"]
    assert rows[4].split() == ["relu", "ReLU", "8x8x4", "0", "0", "in", "place", "0", "3x3"]
    assert rows[7].split() == ["total", "638", "8", "706", "0.00", "7,424"]
    assert len({len(row) for row in rows[:-1]}) == 1  # the total has no field
    assert {row.index(cell) for row, cell in zip(rows, ("kind", "InputLayer", "Conv2D"), strict=False)} == {8 + 1}
    assert "2 bias additions, 256 values normalized, 0 values pooled" in lines[12]


def test_layers_that_see_the_parts_of_a_sample_as_a_batch_count_for_each() -> None:
    inputs = keras.Input((5, 6, 6, 2))
    x = keras.ops.reshape(inputs, (-1, 6, 6, 2))
    x = layers.Conv2D(3, 3, padding="same", name="conv")(x)
    x = layers.Dense(4, name="dense")(keras.ops.reshape(x, (-1, 5, 6 * 6 * 3)))
    table = layer_table(keras.Model(inputs, x))
    rows = {row.name: row for row in table.rows}
    assert rows["conv"].output_shapes == ((5, 6, 6, 3),)
    assert rows["conv"].operations == Operations(multiply_adds=5 * 36 * 27 * 2, bias_additions=5 * 36 * 3)
    assert rows["conv"].activations == 5 * 36 * 3
    assert rows["dense"].operations == Operations(multiply_adds=5 * 108 * 4, bias_additions=5 * 4)
    assert sum(row.activations or 0 for row in table.rows if row.is_bare) == 5 * 36 * 2 + 5 * 108


def test_all_of_it_is_ready_for_json() -> None:
    table = layer_table(small_model())
    values = json.loads(json.dumps(table.as_dict(), allow_nan=False))
    assert values["parameters"] == 638
    assert values["operations"]["multiply_adds"] == 7424
    assert values["layers"][1]["output_shapes"] == [[8, 8, 4]]
    assert values["layers"][1]["operations"]["multiply_adds"] == 6912
    assert values["not_counted"] == []
    assert np.prod(values["input_shapes"][0]) == 192
