"""Networks for dense prediction, built on small backbones."""

from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from dlcli.models.heads.deeplabv3plus import deeplabv3plus
from dlcli.models.heads.fcn import fcn
from dlcli.models.heads.unet import contracting_path, unet
from dlcli.models.images import resnet, vgg
from dlcli.models.images.dilation import dilated
from dlcli.models.images.taps import first_maps, taps


def unet_from_scratch(
    shape: tuple[int, int, int],
    num_classes: int,
    *,
    depth: int = 4,
    filters: int = 4,
    batch_norm: bool = True,
    upsampling: Literal["transposed", "bilinear"] = "transposed",
) -> keras.Model:
    inputs = keras.Input(shape)
    maps = contracting_path(inputs, depth=depth, filters=filters, batch_norm=batch_norm)
    logits = unet(
        maps,
        size=shape[:2],
        filters=filters,
        batch_norm=batch_norm,
        dropout=0.0,
        upsampling=upsampling,
        num_classes=num_classes,
    )
    return keras.Model(inputs, logits)


def resnet18(inputs: Any, width: float = 0.0625) -> Any:
    return resnet.features(inputs, depth=18, version=1, stem="imagenet", width=width)


def unet_on_resnet(shape: tuple[int, int, int], num_classes: int, *, upsampling: Any = "bilinear") -> keras.Model:
    inputs = keras.Input(shape)
    logits = unet(
        taps(inputs, resnet18(inputs)),
        size=shape[:2],
        filters=2,
        batch_norm=True,
        dropout=0.1,
        upsampling=upsampling,
        num_classes=num_classes,
    )
    return keras.Model(inputs, logits)


def fcn_on_vgg(
    shape: tuple[int, int, int],
    num_classes: int,
    *,
    stride: int = 8,
    width: float = 0.0625,
    depth: Literal[11, 13, 16, 19] = 11,
    dense: tuple[int, ...] = (6, 5),
    dropout: float = 0.0,
) -> keras.Model:
    inputs = keras.Input(shape)
    maps = first_maps(inputs, vgg.features(inputs, depth=depth, batch_norm=False, width=width))
    logits = fcn(maps, size=shape[:2], stride=stride, dense=dense, dropout=dropout, num_classes=num_classes)
    return keras.Model(inputs, logits)


def deeplab_on_resnet(
    shape: tuple[int, int, int], num_classes: int, *, output_stride: int = 16, separable: bool = False, filters: int = 6
) -> keras.Model:
    inputs = keras.Input(shape)
    maps = dilated(inputs, resnet18(inputs), output_stride=output_stride)
    logits = deeplabv3plus(
        taps(inputs, maps),
        size=shape[:2],
        filters=filters,
        separable=separable,
        dropout=0.1,
        num_classes=num_classes,
    )
    return keras.Model(inputs, logits)


SMALL = {
    "unet": unet_from_scratch,
    "unet on resnet": unet_on_resnet,
    "fcn": fcn_on_vgg,
    "deeplabv3plus": deeplab_on_resnet,
}


def assert_dense_gradients(model: keras.Model) -> None:
    """Every trainable variable gets a gradient that is not zero, from a loss with different weights of positions."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 1, (3, *model.input_shape[1:])).astype("float32")
    weights = rng.normal(size=(3, *model.output_shape[1:])).astype("float32")
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(x, training=True) * weights)
    variables = model.trainable_variables
    for variable, gradient in zip(variables, tape.gradient(loss, [v.value for v in variables]), strict=True):
        assert gradient is not None, variable.path
        assert np.abs(gradient).max() > 0, variable.path
