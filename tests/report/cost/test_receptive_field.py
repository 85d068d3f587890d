"""Receptive fields of published networks."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from layer_tables import table_of  # type: ignore[import-not-found]

from dlcli.recipe.sections.image_model import Application, Resnet, Senet, Vgg
from dlcli.report.cost.layer_table import layer_table
from dlcli.report.cost.receptive_field import Window, input_windows, windows_after
from dlcli.tasks.images.network import build_classifier


def mobilenet(*, head: str = "average", shape: tuple[int, ...] = (64, 64, 3)):
    section = Application(kind="application", network="mobilenetv3small", head=head)
    return build_classifier(section, shape=shape, num_classes=3)


@pytest.mark.parametrize(
    ("section", "field"),
    [  # Araujo, Norris and Sim 2019, table of receptive fields
        (Vgg(kind="vgg"), 212),
        (Resnet(kind="resnet", depth=50), 483),
        (Resnet(kind="resnet", depth=101), 1027),
        (Resnet(kind="resnet", depth=152), 1507),
        (Resnet(kind="resnet", depth=50, version=2), 483),
        (Application(kind="application", network="inceptionv3"), 1311),
        (Application(kind="application", network="inceptionresnetv2"), 3039),
        (Application(kind="application", network="mobilenet"), 315),
        (Resnet(kind="resnet", depth=20), 81),  # 3 + 6 * 2 = 15; + (1 + 5 * 2) * 2 = 37; + (1 + 5 * 2) * 4 = 81
    ],
)
def test_receptive_fields(section, field: int) -> None:
    rows = table_of(section, (224, 224, 3), 3).rows
    assert [row.receptive_field for row in rows if isinstance(row.receptive_field, tuple)][-1] == (field, field)
    assert all(row.receptive_field is not None for row in rows)
    assert rows[-1].receptive_field == "all"


def test_squeeze_and_excitation_sees_everything() -> None:
    rows = {row.name: row for row in table_of(Senet(kind="senet"), (64, 64, 3), 3).rows}
    assert rows["stage1_block1_3_norm"].receptive_field == (19, 19)
    assert rows["stage1_block1_se_scale"].receptive_field == "all"
    assert rows["stage4"].receptive_field == "all"


STACKS: dict[str, tuple[layers.Layer, ...]] = {
    "strides": (layers.Conv1D(2, 3, strides=2), layers.Conv1D(2, 4), layers.MaxPooling1D(3, 2), layers.Conv1D(1, 2)),
    "dilations": (layers.Conv1D(2, 3, dilation_rate=4), layers.Activation("relu"), layers.Conv1D(1, 2)),
    "separable": (layers.SeparableConv1D(3, 5, strides=3), layers.AveragePooling1D(2), layers.Conv1D(1, 1)),
    "depthwise": (layers.DepthwiseConv1D(3, strides=2), layers.LayerNormalization(), layers.Conv1D(1, 3)),
}


@pytest.mark.parametrize("name", STACKS)
def test_an_output_depends_on_as_many_positions_as_its_field(name: str) -> None:
    inputs = keras.Input((60, 2))
    model = keras.Sequential([inputs, *STACKS[name]])
    row = layer_table(model).rows[-1]
    values = np.random.default_rng(0).uniform(0.5, 1, (60, 2)).astype(np.float32)
    # a row for each changed position, and the unchanged values at the end
    changed = np.stack([values + 1e3 * (np.arange(60) == i)[:, None] for i in range(60)] + [values])
    model.set_weights([np.abs(weight) + 0.1 for weight in model.get_weights()])  # no change cancels out
    outputs = model.predict_on_batch(changed.astype(np.float32))[:, :, 0]
    middle = outputs.shape[1] // 2
    positions = np.flatnonzero(outputs[:-1, middle] != outputs[-1, middle])
    assert row.receptive_field == (np.ptp(positions) + 1,)


def conv(size: int, **keys) -> layers.Layer:
    return layers.Conv2D(1, (size, 1), **keys)


def up(size: int, step: int, padding: str = "valid") -> layers.Layer:
    return layers.Conv2DTranspose(2, (size, 1), strides=(step, 1), padding=padding)


ENLARGING: dict[str, tuple[tuple[layers.Layer, ...], int]] = {  # with fields by hand
    "nearest": ((layers.UpSampling2D((2, 1)),), 1),
    "nearest, then 2": ((layers.UpSampling2D((2, 1)), conv(2)), 2),
    "nearest, then 3": ((layers.UpSampling2D((3, 1)), conv(3)), 2),
    "nearest, then 3 and 3": ((layers.UpSampling2D((3, 1)), conv(3), conv(3)), 3),
    "bilinear": ((layers.UpSampling2D((2, 1), interpolation="bilinear"),), 2),
    "bilinear, then 3": ((layers.UpSampling2D((2, 1), interpolation="bilinear"), conv(3)), 3),
    "bilinear by 3": ((layers.Resizing(180, 1),), 2),
    "bilinear by 3, then 3": ((layers.Resizing(180, 1), conv(3)), 3),
    "bilinear by 3/2": ((layers.Resizing(90, 1), conv(3)), 4),
    "bilinear by 13/10": ((layers.Resizing(78, 1), conv(3, dilation_rate=(2, 1))), 6),
    "transposed 2": ((up(2, 2), conv(3)), 2),
    "transposed 3": ((up(3, 2),), 2),
    "transposed 4": ((up(4, 2, "same"), conv(3)), 3),
    "transposed without overlap": ((up(2, 3), conv(2)), 1),
    "down and up": ((conv(3, strides=(4, 1)), up(4, 4), conv(3)), 3 + 4),
    "down, up and up": ((conv(3, strides=(4, 1)), conv(3), up(2, 2), conv(3), up(2, 2), conv(3)), 3 + 8 + 8),
}


@pytest.mark.parametrize("name", ENLARGING)
def test_the_largest_field_after_maps_are_enlarged(name: str) -> None:
    stack, expected = ENLARGING[name]
    model = keras.Sequential([keras.Input((60, 1, 2)), *stack])
    (side, _) = layer_table(model).rows[-1].receptive_field
    values = np.random.default_rng(0).uniform(0.5, 1, (60, 1, 2)).astype(np.float32)
    changed = np.stack([values + 1e3 * (np.arange(60) == i)[:, None, None] for i in range(60)] + [values])
    model.set_weights([np.abs(weight) + 0.1 for weight in model.get_weights()])
    outputs = model.predict_on_batch(changed.astype(np.float32))[:, :, 0, 0]
    depends = outputs[:-1] != outputs[-1]  # [input position, output position]
    found = max(np.ptp(np.flatnonzero(column)) + 1 for column in depends.T if column.any())
    assert (side, found) == (expected, expected)


def test_skips_have_the_field_of_the_deepest_branch() -> None:
    inputs = keras.Input((32, 32, 1))
    skip = layers.Conv2D(2, 3, padding="same")(inputs)
    deep = layers.Conv2D(2, 3, padding="same")(layers.MaxPooling2D(2)(skip))
    joined = layers.Concatenate()([skip, layers.Conv2DTranspose(2, 2, strides=2)(deep)])
    outputs = layers.Conv2D(1, 3, padding="same")(joined)
    # 3, pooled 4, then 3 of step 2: 8; up: the same; three fine positions lie in up to two coarse ones: 10
    assert layer_table(keras.Model(inputs, outputs)).rows[-1].receptive_field == (10, 10)


PADDED: dict[str, tuple[layers.Layer, ...]] = {
    "same": (layers.Conv2D(2, 3, strides=2, padding="same"), layers.Conv2D(2, (5, 2), padding="same")),
    "even": (layers.Conv2D(2, 4, padding="same"), layers.AveragePooling2D(3, 2, padding="same")),
    "margins": (layers.ZeroPadding2D(((0, 1), (2, 0))), layers.Conv2D(2, 3, strides=2), layers.Cropping2D((1, 0))),
    "dilated": (layers.Conv2D(2, 3, dilation_rate=2, padding="same"), layers.Conv2D(2, 2, strides=(3, 1))),
}


@pytest.mark.parametrize("name", PADDED)
def test_the_span_of_a_position_is_what_its_gradient_reaches(name: str) -> None:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((17, 14, 1)), *PADDED[name]])
    assert_spans(model, windows_of(model))


def test_the_span_of_a_residual_block_is_that_of_all_its_branches() -> None:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((13, 16, 1))
    long = layers.Conv2D(2, 5, strides=2, padding="same")(inputs)
    late = layers.Conv2D(2, 3, strides=2)(layers.ZeroPadding2D(((0, 2), (0, 1)))(inputs))
    model = keras.Model(inputs, layers.Add()([long, late]))
    assert_spans(model, windows_of(model))


def windows_of(model: keras.Model) -> tuple[Window, ...]:
    """The windows of the outputs of a model."""
    known = {id(model.inputs[0]): input_windows(model.inputs[0].shape[1:])}
    for layer in model.layers:
        if not isinstance(layer, layers.InputLayer):
            inputs = keras.tree.flatten(layer.input)
            shapes = [tensor.shape[1:] for tensor in inputs]
            windows = windows_after(layer, [known[id(tensor)] for tensor in inputs], shapes, [layer.output.shape[1:]])
            assert windows is not None
            known[id(layer.output)] = windows
    return known[id(model.outputs[0])]


def assert_spans(model: keras.Model, windows: tuple[Window, ...]) -> None:
    """Asserts for every position of the output that its gradient is nonzero from the start to the end of its span."""
    pixels = tf.ones((1, *model.inputs[0].shape[1:]))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(pixels)
        values = model(pixels)
        sums = {(y, x): tf.reduce_sum(values[0, y, x]) for y, x in np.ndindex(*values.shape[1:3])}
    num_beyond = 0
    for place, total in sums.items():
        slopes = np.abs(tape.gradient(total, pixels).numpy())[0, ..., 0]
        for axis in (0, 1):
            reached = np.flatnonzero(slopes.any(axis=1 - axis))
            span = windows[axis].span(place[axis])
            assert span is not None
            assert (reached[0], reached[-1]) == (max(span[0], 0), min(span[1], slopes.shape[axis]) - 1)
            num_beyond += span[0] < 0
    assert num_beyond > 0


def test_no_span_is_known_where_maps_are_enlarged_or_the_length_is_not_known() -> None:
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2DTranspose(1, 3, strides=2), layers.Conv2D(1, 3)])
    assert windows_of(model)[0].span(0) is None
    model = keras.Sequential([keras.Input((None, 8, 1)), layers.Conv2D(1, 3, padding="same")])
    height, width, _ = windows_of(model)
    assert height.span(0) is None
    assert width.span(0) == (-1, 2)
