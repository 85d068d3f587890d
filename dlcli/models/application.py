"""The networks of keras.applications, by their names: as Keras builds them, without its classifier."""

import warnings
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np

from dlcli.errors import InputError
from dlcli.models.layers import check_sides

Tensor = Any  # a symbolic keras.KerasTensor

Preprocessing = Literal["symmetric", "caffe", "torch", "inside"]


@dataclass(frozen=True)
class Network:
    """A function of keras.applications.

    Attributes:
        function: its name.
        side: of the pictures that its ImageNet weights were made for.
        smallest_side: that it takes.
        preprocessing: what its ImageNet weights expect of pixels; ``inside``: the network scales raw ones itself.
    """

    function: str
    side: int
    preprocessing: Preprocessing
    smallest_side: int = 32


NETWORKS = {
    **{f"convnext{size.lower()}": Network(f"ConvNeXt{size}", 224, "inside") for size in
       ("Tiny", "Small", "Base", "Large", "XLarge")},
    **{f"densenet{depth}": Network(f"DenseNet{depth}", 224, "torch") for depth in (121, 169, 201)},
    **{f"efficientnetb{i}": Network(f"EfficientNetB{i}", side, "inside") for i, side in
       enumerate((224, 240, 260, 300, 380, 456, 528, 600))},
    **{f"efficientnetv2{size.lower()}": Network(f"EfficientNetV2{size}", side, "inside") for size, side in
       {"B0": 224, "B1": 240, "B2": 260, "B3": 300, "S": 384, "M": 480, "L": 480}.items()},
    "inceptionresnetv2": Network("InceptionResNetV2", 299, "symmetric", 75),
    "inceptionv3": Network("InceptionV3", 299, "symmetric", 75),
    "mobilenet": Network("MobileNet", 224, "symmetric"),
    "mobilenetv2": Network("MobileNetV2", 224, "symmetric"),
    "mobilenetv3large": Network("MobileNetV3Large", 224, "inside"),
    "mobilenetv3small": Network("MobileNetV3Small", 224, "inside"),
    "nasnetlarge": Network("NASNetLarge", 331, "symmetric"),
    "nasnetmobile": Network("NASNetMobile", 224, "symmetric"),
    **{f"resnet{depth}": Network(f"ResNet{depth}", 224, "caffe") for depth in (50, 101, 152)},
    **{f"resnet{depth}v2": Network(f"ResNet{depth}V2", 224, "symmetric") for depth in (50, 101, 152)},
    "vgg16": Network("VGG16", 224, "caffe"),
    "vgg19": Network("VGG19", 224, "caffe"),
    "xception": Network("Xception", 299, "symmetric", 71),
}  # fmt: skip

IMAGENET_CLASSES = 1000
UNREAD = 3e38  # stands in every weight until it is read from a file


@dataclass(frozen=True)
class Parts:
    """A network without its classifier.

    Attributes:
        maps: the last feature maps ``[batch, height, width, channels]``.
        vector: what the paper's classifier sees ``[batch, units]``; None where only the maps were built.
    """

    maps: Tensor
    vector: Tensor | None


def features(inputs: Tensor, *, network: str, with_top: bool) -> Parts:
    """Builds a network with first weights drawn at random, its layers named as Keras names them.

    Args:
        inputs: ``[batch, height, width, channels]``, scaled as the network wants them.
        network: a key of NETWORKS.
        with_top: build also what the paper has between maps and classifier: pooling, and whatever comes after it.

    Raises:
        InputError: the pictures are smaller than the network takes.
    """
    net = NETWORKS[network]
    check_sides(inputs, smallest=net.smallest_side, network=network)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Keras, about pictures that its ImageNet weights were not made for
        model = _function(net)(
            weights=None,
            include_top=with_top,
            input_tensor=inputs,
            input_shape=tuple(inputs.shape[1:]),
            **_keys(with_top),
        )
    return _parts(model, with_top=with_top)


def with_dropout(parts: Parts, dropout: float | None) -> Tensor:
    """The vector with another proportion set to 0 in training; None leaves what the paper has."""
    if dropout is None:
        return parts.vector
    own = [layer for layer in keras.Model(parts.maps, parts.vector).layers if isinstance(layer, keras.layers.Dropout)]
    for layer in own:
        layer.rate = dropout
    return parts.vector if own or dropout == 0 else keras.layers.Dropout(dropout, name="head_dropout")(parts.vector)


def _function(net: Network) -> Any:
    return getattr(keras.applications, net.function)


def _keys(with_top: bool) -> dict[str, Any]:
    return {"classes": IMAGENET_CLASSES, "classifier_activation": None} if with_top else {}


def _parts(model: keras.Model, *, with_top: bool) -> Parts:
    """Cuts the classifier off: the last layer with weights."""
    if not with_top:
        return Parts(model.output, None)
    last = max(i for i, layer in enumerate(model.layers) if layer.weights)
    vector = model.layers[last].input
    if len(vector.shape) == 4:  # [batch, 1, 1, units], where the classifier is a 1x1 convolution
        vector = keras.layers.Flatten(name="flatten")(vector)
    to_vector = (keras.layers.GlobalAveragePooling2D, keras.layers.Flatten)
    pooling = next(layer for layer in reversed(model.layers[:last]) if isinstance(layer, to_vector))
    return Parts(pooling.input, vector)


# Weights --------------------------------------------------------------------------------------------------------------


def load_weights(target: keras.Model, *, network: str, with_top: bool, file: str | None) -> None:
    """Gives a network the weights that it has been trained to.

    Args:
        target: the built network, from its scaled inputs to its maps, or to its vector with ``with_top``.
        network: a key of NETWORKS.
        with_top: whether it was built so.
        file: weights that Keras has saved for this network, with or without a classifier of 1,000 classes
            (``.weights.h5`` or ``.h5``); None for those trained on ImageNet, which Keras downloads and checks.

    Raises:
        InputError: the weights cannot be had, or are not those of this network on as many channels.
    """
    if file is None:
        source = _from_imagenet(NETWORKS[network], with_top=with_top)
        name = f"the ImageNet weights of {network}"
    else:
        source = _from_file(network, file, with_top=with_top)
        name = file
    parts = _parts(source, with_top=with_top)
    trained = keras.Model(source.input, parts.vector if with_top else parts.maps).weights
    if [weight.shape for weight in trained] != [weight.shape for weight in target.weights]:
        raise InputError(
            f"{name}: are for pictures in colour. Set data.color_mode: rgb, or remove model.weights to train anew."
        )
    for own, weight in zip(target.weights, trained, strict=True):
        own.assign(weight)


def _from_imagenet(net: Network, *, with_top: bool) -> keras.Model:
    try:
        return _function(net)(weights="imagenet", include_top=with_top, input_shape=(net.side, net.side, 3))
    except Exception as error:  # Keras raises a bare Exception for a network that fails
        reason = str(error).splitlines()[0][:200]
        raise InputError(
            f"the ImageNet weights of {net.function} are neither in Keras's cache (~/.keras/models) nor can they be "
            f"downloaded ({reason}). Name a file of them in model.weights, or remove the key to train anew."
        ) from None


def _from_file(network: str, file: str, *, with_top: bool) -> keras.Model:
    """The network with the weights in a file, with its classifier where ``with_top`` or else the file has one."""
    net = NETWORKS[network]
    reasons = []
    for has_classifier in (True,) if with_top else (False, True):
        model = _function(net)(weights=None, include_top=has_classifier, input_shape=(net.side, net.side, 3))
        try:
            _read_weights(model, file)
        except (ValueError, KeyError, OSError, TypeError) as error:
            reasons.append(" ".join(str(error).split())[:400])
            continue
        if has_classifier and not with_top:
            return keras.Model(model.input, _parts(model, with_top=True).maps)
        return model
    head = " with its classifier of 1,000 classes (head: paper needs it; head: average does not)" if with_top else ""
    raise InputError(f"{file}: its weights do not fit {network}{head}. Keras says: {reasons[0]}")


def _read_weights(model: keras.Model, file: str) -> None:
    """Reads all of a model's weights from a file.

    Raises:
        ValueError: one is not there, of which Keras itself may say no more than a warning; or one is not finite.
    """
    floats = [weight for weight in model.weights if weight.dtype == "float32"]
    for weight in floats:
        weight.assign(np.full(weight.shape, UNREAD, np.float32))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.load_weights(file)
    for weight in floats:
        values = weight.numpy()
        if (values == np.float32(UNREAD)).all():
            raise ValueError(f"the file lacks {weight.path}")
        if not np.isfinite(values).all():
            raise ValueError(f"{weight.path} holds values that are not finite")
