"""Segmentation networks: the outputs of the saved model, the layers that a stage trains, and initial weights."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlcli.recipe.load import load_text
from dlcli.recipe.tasks.segmentation import Segmentation
from dlcli.tasks.images.freezing import set_depth
from dlcli.tasks.images.head import TargetInfo
from dlcli.tasks.images.initial_weights import find_weights, load_weights
from dlcli.tasks.images.network import ImageNetwork
from dlcli.tasks.segmentation.head import SegmentationHead

CONVNET = "backbone: {kind: convnet, blocks: [{filters: 4, batch_norm: true}, {filters: 6}]}"
DEEP = f"backbone: {{kind: convnet, blocks: [{', '.join(['{filters: 2}'] * 5)}]}}"  # strides to 32
RESNET = "backbone: {kind: resnet, depth: 18, width: 4}"
MODELS = {
    "unet": "{kind: unet, filters: 4, depth: 2}",
    "unet on a backbone": f"{{kind: unet, filters: 4, {CONVNET}}}",
    "fcn": f"{{kind: fcn, {DEEP}}}",
}
DEEPLAB = pytest.param(f"{{kind: deeplabv3plus, filters: 8, {RESNET}}}", marks=pytest.mark.slow, id="deeplabv3plus")
EVERY_MODEL = [*(pytest.param(model, id=name) for name, model in MODELS.items()), DEEPLAB]
INFO = TargetInfo(("a", "b", "c"))


def head_of(model: str, train: str = "{}") -> SegmentationHead:
    text = f"task: segmentation\ndata: {{kind: scenes}}\nmodel: {model}\ntrain: {train}\n"
    recipe = load_text(text.encode(), Path("recipe.yaml")).recipe
    assert isinstance(recipe, Segmentation)
    return SegmentationHead(recipe)


def build(head: SegmentationHead, shape: tuple[int, ...] = (40, 48, 3)) -> ImageNetwork:
    return head.build(head.recipe.model, INFO, shape=shape)


@pytest.mark.parametrize("model", EVERY_MODEL)
def test_outputs_and_gradients(model: str) -> None:
    network = build(head_of(model))
    x = np.random.default_rng(0).uniform(0, 255, (2, 40, 48, 3)).astype(np.float32)
    outputs: Any = network.model(x)
    assert outputs["probabilities"].shape == (2, 40, 48, 3)
    np.testing.assert_allclose(outputs["probabilities"].numpy().sum(-1), 1, rtol=1e-5)
    np.testing.assert_array_equal(outputs["classes"].numpy(), outputs["probabilities"].numpy().argmax(-1))
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(network.trained(x, training=True)))
    gradients = tape.gradient(loss, network.trained.trainable_variables)
    assert all(gradient is not None for gradient in gradients)
    assert network.trained.output_names == ["logits"]


@pytest.mark.parametrize("model", EVERY_MODEL[1:])
def test_a_frozen_encoder_leaves_the_decoder(model: str) -> None:
    head = head_of(model, "{stages: [{name: decoder, epochs: 1, trainable: head}, {name: all, epochs: 1}]}")
    network = build(head)
    of_base = {variable.path for variable in network.features.trainable_variables}
    everything = {variable.path for variable in network.model.trainable_variables}
    set_depth(head.base, network, head.recipe.train.stages[0])
    trained = {variable.path for variable in network.model.trainable_variables}
    assert trained == everything - of_base
    assert of_base
    set_depth(head.base, network, head.recipe.train.stages[1])
    assert {variable.path for variable in network.model.trainable_variables} == everything


@pytest.mark.parametrize(
    ("model", "base"),
    [
        ("kind: unet", CONVNET),
        pytest.param("kind: deeplabv3plus, filters: 8", RESNET, marks=pytest.mark.slow),
    ],
)
def test_weights_of_a_backbone_are_loaded(model: str, base: str, tmp_path: Path) -> None:
    trained = build(head_of(f"{{{model}, {base}}}"))
    trained.features.save_weights(tmp_path / "base.weights.h5")
    with_weights = f"{base.removesuffix('}')}, weights: {tmp_path / 'base.weights.h5'}}}"
    head = head_of(f"{{{model}, {with_weights}}}")
    network = build(head)
    assert head.base is not None
    load_weights(head.base, network, find_weights(head.base))
    for ours, theirs in zip(network.features.weights, trained.features.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert isinstance(network.model, keras.Model)
