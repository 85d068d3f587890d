"""Freezing: the stages of networks, what is trained, and where a network is split."""

import typing
from typing import Any

import keras
import numpy as np
import pytest

from dlcli.recipe.sections.image_model import (
    Application,
    ApplicationName,
    ConvBlock,
    Convnet,
    ImageClassifier,
    Resnet,
    Vgg,
)
from dlcli.runtime.startup import without_weights
from dlcli.tasks.images.freezing import network_stages, rate_factors, set_trainable, split_front
from dlcli.tasks.images.network import HeadOutputs, ImageNetwork, build_classifier, features, with_head

SMALL = Convnet(kind="convnet", blocks=tuple(ConvBlock(filters=4, batch_norm=True, dropout=0.2) for _ in range(3)))


def built(section: ImageClassifier, shape: tuple[int, ...] = (32, 32, 3)) -> ImageNetwork:
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    return build_classifier(section, shape=shape, num_classes=3)


def application(network: str, **keys: Any) -> Application:
    return Application(kind="application", network=network, head="average", **keys)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("section", "side", "stages"),
    [
        (application("vgg16"), 32, {"stage1": "block1_pool", "stage4": "block4_pool"}),
        (
            application("resnet50"),
            64,
            {"stage1": "conv1_conv", "stage3": "conv3_block1_1_conv", "stage5": "conv5_block1_1_conv"},
        ),
        (
            application("mobilenetv2", alpha=0.35),
            64,
            {"stage1": "Conv1", "stage2": "block_1_depthwise", "stage5": "block_13_depthwise"},
        ),
        (application("densenet121"), 64, {"stage3": "pool2_pool", "stage5": "pool4_pool"}),
        (application("efficientnetb0"), 64, {"stage5": "block6a_dwconv"}),
        (application("inceptionv3"), 75, {"stage1": "conv2d"}),
        (Resnet(kind="resnet", depth=20), 32, {"stage1": "pixels", "stage3": "stage3_block1_1_conv_padding"}),
        (Vgg(kind="vgg", depth=11, width=0.1), 32, {"stage1": "pixels"}),
    ],
)
def test_stages_start_where_the_resolution_drops(section: ImageClassifier, side: int, stages: dict[str, str]) -> None:
    with without_weights():
        found = network_stages(build_classifier(section, shape=(side, side, 3), num_classes=3))
    assert {name: found.get(name) for name in stages} == stages
    numbers = [int(name.removeprefix("stage")) for name in found]
    assert numbers == sorted(numbers)


QUICK = {"mobilenet", "mobilenetv2", "mobilenetv3small", "vgg16", "resnet50", "efficientnetb0", "densenet121"}


@pytest.mark.parametrize(
    "network",
    [
        pytest.param(network, marks=[] if network in QUICK else [pytest.mark.slow])
        for network in typing.get_args(ApplicationName)
    ],
)
def test_every_network_of_keras_has_a_last_stage_of_a_part_of_its_weights(network: str) -> None:
    with without_weights():
        classifier = build_classifier(application(network), shape=(96, 96, 3), num_classes=3)
        total = len(classifier.model.trainable_variables)
        set_trainable(classifier, "last_stage")
        assert 2 < len(classifier.model.trainable_variables) < 0.8 * total


def test_batch_normalization_can_be_frozen() -> None:
    classifier = built(SMALL)
    set_trainable(classifier, "all", freeze_batch_norm=True)
    norms = [layer for layer in classifier.model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert len(norms) == 3
    assert not any(layer.trainable for layer in norms)
    x = np.random.default_rng(0).uniform(0, 255, (8, 32, 32, 3)).astype(np.float32)
    before = [weight.numpy() for layer in norms for weight in layer.weights]
    classifier.model(x, training=True)
    for layer_weight, old in zip([w for layer in norms for w in layer.weights], before, strict=True):
        np.testing.assert_array_equal(layer_weight.numpy(), old)
    set_trainable(classifier, "all")
    assert all(layer.trainable for layer in norms)


@pytest.mark.parametrize(
    "trainable",
    ["head", "stage2", pytest.param("stage3", marks=pytest.mark.slow), 1, pytest.param(2, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("section", [SMALL, Resnet(kind="resnet", depth=20, width=0.25, dropout=0.5)])
def test_front_and_rest_compose_to_the_network(section: ImageClassifier, trainable: str | int) -> None:
    classifier = built(section)
    set_trainable(classifier, trainable)
    cut = split_front(classifier)
    assert cut is not None
    front, rest = cut
    x = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype(np.float32)
    whole = classifier.trained(x, training=False)
    np.testing.assert_array_equal(rest(front(x, training=False), training=False), whole)
    assert front.trainable_variables == []
    assert [v.path for v in rest.trainable_variables] == [v.path for v in classifier.trained.trainable_variables]


def test_dropout_of_the_head_is_not_in_the_front() -> None:
    classifier = built(Resnet(kind="resnet", depth=20, width=0.25, dropout=0.5))
    set_trainable(classifier, "head")
    cut = split_front(classifier)
    assert cut is not None
    assert [layer.name for layer in cut[1].layers[1:]] == ["head_dropout", "logits"]
    assert cut[0].output_shape == (None, 16)  # a vector, not the maps


def test_dropout_of_the_frozen_part_is_in_the_front() -> None:
    classifier = built(SMALL)
    set_trainable(classifier, "head")
    cut = split_front(classifier)
    assert cut is not None
    assert any(isinstance(layer, keras.layers.Dropout) for layer in cut[0].layers)
    x = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype(np.float32)
    np.testing.assert_array_equal(cut[0](x, training=False), cut[0](x, training=False))


def test_no_front_when_everything_is_trained() -> None:
    classifier = built(SMALL)
    set_trainable(classifier, "all")
    assert split_front(classifier) is None


def test_learning_rates_decay_from_stage_to_stage() -> None:
    classifier = built(SMALL)
    set_trainable(classifier, "all")
    factor = rate_factors(classifier, 0.5)
    found = {variable.path.split("/")[0]: factor(variable) for variable in classifier.model.trainable_variables}
    assert found["logits"] == 1.0
    kernels = [value for name, value in found.items() if name != "logits"]
    assert sorted(set(kernels)) == [0.125, 0.25, 0.5]
    assert kernels == sorted(kernels)


def test_front_takes_the_samples_and_the_rest_what_else_is_trained_with() -> None:
    keras.backend.clear_session()
    base = features(SMALL, shape=(32, 32, 3))
    more = keras.Input((3,), name="more")
    logits = keras.layers.Dense(3, name="logits")(base.vector)
    network = with_head(base, HeadOutputs(logits, keras.layers.Add()([logits, more]), further_inputs=[more]))
    assert len(network.model.inputs) == 1
    set_trainable(network, "head")
    cut = split_front(network)
    assert cut is not None
    front, rest = cut
    rng = np.random.default_rng(0)
    x, values = (keras.ops.array(rng.uniform(0, 1, shape), "float32") for shape in ((4, 32, 32, 3), (4, 3)))
    whole = network.trained([x, values], training=False)
    np.testing.assert_array_equal(rest([front(x, training=False), values], training=False), whole)
    assert len(front.inputs) == 1
    assert front.trainable_variables == []
    np.testing.assert_allclose(whole, network.model(x) + values, rtol=1e-6)
