"""Properties of all networks whose size the recipe sets: counts, shapes, names, gradients, precision, learning."""

import inspect
import typing

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlcli.models.images import convnet, lenet5, mlp
from dlcli.recipe.sections.image_model import Activation, ConvBlock, Convnet, ImageClassifier, Lenet5, Mlp
from dlcli.report.cost.published import NETWORKS

FAMILIES = {"convnet": convnet, "lenet5": lenet5, "mlp": mlp}
"""Those whose size the recipe sets; test_published_networks.py has the others."""

DIGITS = Convnet(
    kind="convnet",
    blocks=(ConvBlock(filters=32, kernel_size=5), ConvBlock(filters=64, kernel_size=3)),
    dense=(256,),
)
RICH = Convnet(
    kind="convnet",
    preprocessing="symmetric",
    blocks=(
        ConvBlock(filters=4, batch_norm=True, repeat=2, activation="silu", dropout=0.1),
        ConvBlock(filters=6, kernel_size=2, strides=2, padding="valid", pool="none", activation="leaky_relu"),
        ConvBlock(filters=8, pool="average", activation="tanh"),
    ),
    pooling="average",
    dense=(7, 5),
    dropout=0.2,
)

# Section, shape of an input, classes, trainable parameters, others. Each bracket is a layer: kernel, then bias or such.
PARAMETERS = [
    (DIGITS, (28, 28, 1), 10, (25 * 32 + 32) + (9 * 32 * 64 + 64) + (7 * 7 * 64 * 256 + 256) + (256 * 10 + 10), 0),
    (
        RICH,
        (16, 24, 3),
        3,
        (9 * 3 * 4 + 8) + (9 * 4 * 4 + 8)  # no bias, but scale and shift of the normalization
        + (4 * 4 * 6 + 6)
        + (9 * 6 * 8 + 8)
        + (8 * 7 + 7) + (7 * 5 + 5) + (5 * 3 + 3),
        8 + 8,  # moving means and variances
    ),
    (
        Convnet(
            kind="convnet",
            preprocessing="unit",
            rank=1,
            blocks=(ConvBlock(filters=8, kernel_size=5),),
            pooling="max",
        ),
        (50, 2),
        4,
        (5 * 2 * 8 + 8) + (8 * 4 + 4),
        0,
    ),
    (
        Convnet(kind="convnet", preprocessing="unit", rank=3, blocks=(ConvBlock(filters=4),), pooling="flatten"),
        (4, 6, 8, 1),
        2,
        (27 * 4 + 4) + (2 * 3 * 4 * 4 * 2 + 2),
        0,
    ),
    (Lenet5(kind="lenet5"), (32, 32, 1), 10, 61_706, 0),  # as counted everywhere for its modern form
    (Lenet5(kind="lenet5", activation="tanh", pool="average"), (28, 28, 1), 10, 61_706, 0),
    (Mlp(kind="mlp"), (28, 28, 1), 10, (784 * 128 + 128) + (128 * 10 + 10), 0),
    (
        Mlp(kind="mlp", units=(20, 10), batch_norm=True, dropout=0.5),
        (5, 4, 3),
        6,
        (60 * 20 + 40) + (20 * 10 + 20) + (10 * 6 + 6),
        40 + 20,
    ),
]  # fmt: skip


def kinds_of_recipe() -> set[str]:
    union = typing.get_args(ImageClassifier)[0]
    return {typing.get_args(section.model_fields["kind"].annotation)[0] for section in typing.get_args(union)}


def count(variables: list[keras.Variable]) -> int:
    return sum(int(np.prod(variable.shape)) for variable in variables)


def test_every_kind_of_the_recipe_has_its_row() -> None:
    published = {network.family for network in NETWORKS}
    assert {section.kind for section, *_ in PARAMETERS} == set(FAMILIES)
    of_spaces = {"genetic_cnn", "block_qnn", "hierarchical"}  # those of test_search_spaces.py
    assert kinds_of_recipe() == set(FAMILIES) | published | of_spaces | {
        "saved",
        "python",
    }  # these have what their files have


@pytest.mark.parametrize(("section", "shape", "num_classes", "trainable", "others"), PARAMETERS)
def test_parameters_shapes_and_gradients(build_classifier, section, shape, num_classes, trainable, others) -> None:
    model = build_classifier(section, shape, num_classes)
    assert (count(model.trainable_weights), count(model.non_trainable_weights)) == (trainable, others)
    assert model.output_shape == (None, num_classes)
    assert model.get_layer("logits").output.shape == (None, num_classes)

    x = np.random.default_rng(0).uniform(0, 255, (8, *shape)).astype("float32")
    with tf.GradientTape() as tape:
        probabilities = model(x, training=True)
        loss = -tf.reduce_mean(tf.math.log(probabilities[:, 0]))
    gradients = tape.gradient(loss, [variable.value for variable in model.trainable_weights])
    for variable, gradient in zip(model.trainable_weights, gradients, strict=True):
        assert gradient is not None, variable.path
        assert np.abs(gradient).max() > 0, variable.path
    np.testing.assert_allclose(np.sum(probabilities, axis=-1), 1, rtol=1e-5)


@pytest.mark.parametrize(("section", "shape"), [(DIGITS, (28, 28, 1)), (Mlp(kind="mlp", units=(9, 8)), (6, 6, 1))])
def test_a_frozen_stage_gets_no_gradient(build_classifier, section, shape) -> None:
    model = build_classifier(section, shape, 3)
    first_stage = model.layers[: model.layers.index(model.get_layer("stage1")) + 1]
    frozen = {id(variable) for layer in first_stage for variable in layer.weights}
    for layer in first_stage:
        layer.trainable = False
    assert len(frozen) == 2  # kernel and bias
    assert {id(variable) for variable in model.trainable_weights} == {
        id(variable) for variable in model.weights if id(variable) not in frozen
    }


@pytest.mark.parametrize("kind", sorted(FAMILIES))
def test_the_keys_of_the_recipe_are_the_arguments_of_the_builder(kind) -> None:
    section = next(section for section, *_ in PARAMETERS if section.kind == kind)
    arguments = inspect.signature(FAMILIES[kind].features).parameters
    assert set(arguments) - {"inputs"} == set(type(section).model_fields) - {"kind", "preprocessing", "weights", "l2"}
    assert all(argument.default is argument.empty for argument in arguments.values())  # defaults stand in the schema


def test_the_last_layer_of_each_stage_is_named(build_classifier) -> None:
    def names(section, shape):
        return [layer.name for layer in build_classifier(section, shape, 3).layers]

    assert names(DIGITS, (28, 28, 1)) == [
        *("pixels", "preprocessing"),
        *("stage1_conv1", "stage1_activation1", "stage1"),
        *("stage2_conv1", "stage2_activation1", "stage2"),
        *("flatten", "dense1", "logits", "probabilities"),
    ]
    assert names(RICH, (16, 24, 3)) == [
        *("pixels", "preprocessing"),
        *("stage1_conv1", "stage1_norm1", "stage1_activation1"),
        *("stage1_conv2", "stage1_norm2", "stage1_activation2", "stage1_pool", "stage1"),
        *("stage2_conv1", "stage2"),
        *("stage3_conv1", "stage3_activation1", "stage3"),
        *("global_average", "dropout1", "dense1", "dropout2", "dense2", "dropout3", "logits", "probabilities"),
    ]
    assert names(Lenet5(kind="lenet5"), (28, 28, 1)) == [
        *("pixels", "preprocessing", "padding", "c1", "stage1", "c3", "stage2", "flatten", "c5", "f6"),
        *("logits", "probabilities"),
    ]
    assert names(Mlp(kind="mlp", units=(4, 3), dropout=0.1, batch_norm=True), (2, 2, 1)) == [
        *("pixels", "preprocessing", "flatten", "dense1", "norm1", "activation1", "stage1"),
        *("dense2", "norm2", "activation2", "stage2", "logits", "probabilities"),
    ]


@pytest.mark.parametrize(
    ("section", "shape", "num_classes", "names", "shapes"),
    [
        (DIGITS, (29, 20, 1), 10, ("stage1", "stage2"), [(14, 10, 32), (7, 5, 64)]),
        (RICH, (16, 24, 3), 3, ("stage1", "stage2", "stage3"), [(8, 12, 4), (4, 6, 6), (2, 3, 8)]),
        (Lenet5(kind="lenet5"), (32, 32, 1), 10, ("c1", "stage1", "c3", "stage2"),
         [(28, 28, 6), (14, 14, 6), (10, 10, 16), (5, 5, 16)]),
    ],
)  # fmt: skip
def test_stages_have_the_shapes_of_the_docs(build_classifier, section, shape, num_classes, names, shapes) -> None:
    model = build_classifier(section, shape, num_classes)
    assert [tuple(model.get_layer(name).output.shape[1:]) for name in names] == shapes


@pytest.mark.parametrize("activation", typing.get_args(Activation))
def test_every_activation_of_the_recipe_builds(build_classifier, activation) -> None:
    section = Mlp(kind="mlp", units=(3,), activation=activation)
    model = build_classifier(section, (4, 4, 1), 2)
    assert model.get_layer("stage1").activation.__name__ == activation
    assert np.isfinite(model(np.ones((1, 4, 4, 1)))).all()


# Numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize(("section", "shape"), [(DIGITS, (28, 28, 1)), (RICH, (16, 24, 3))])
def test_mixed_precision_keeps_weights_pixels_and_logits_in_float32(build_classifier, policy, section, shape) -> None:
    reference = build_classifier(section, shape, 3)
    keras.config.set_dtype_policy(policy)
    model = build_classifier(section, shape, 3)
    model.set_weights(reference.get_weights())
    assert {variable.dtype for variable in model.weights} == {"float32"}
    assert model.get_layer("preprocessing").output.dtype == "float32"
    assert model.get_layer("stage1").output.dtype == policy.removeprefix("mixed_")
    assert model.get_layer("logits").output.dtype == "float32"
    assert model.output.dtype == "float32"
    x = np.random.default_rng(0).uniform(0, 255, (4, *shape)).astype("float32")
    np.testing.assert_allclose(model(x), reference(x), atol=0.02)


@pytest.mark.parametrize(
    ("section", "shape"),
    [
        (DIGITS.model_copy(update={"dense": (32,)}), (12, 12, 1)),
        (Lenet5(kind="lenet5"), (28, 28, 1)),
        (Mlp(kind="mlp", units=(32,)), (12, 12, 1)),
    ],
)
def test_a_batch_can_be_overfitted(build_classifier, section, shape) -> None:
    model = build_classifier(section, shape, 3)
    x = np.random.default_rng(0).uniform(0, 255, (12, *shape)).astype("float32")
    labels = np.arange(12) % 3
    logits = keras.Model(model.input, model.get_layer("logits").output)
    optimizer = keras.optimizers.Adam(3e-3)
    optimizer.build(model.trainable_variables)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits(x, training=True))
            loss = tf.reduce_mean(cross_entropy)
        gradients = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
        optimizer.apply(gradients, model.trainable_variables)
        return loss

    losses = [float(step()) for _ in range(100)]
    assert losses[0] > 0.5
    assert losses[-1] < 0.05
    assert (np.argmax(model(x), axis=-1) == labels).all()
