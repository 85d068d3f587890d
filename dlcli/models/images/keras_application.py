"""The networks of keras.applications by name, as Keras builds them, without their classifiers."""

import contextlib
import io
import math
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np

from dlcli.errors import InputError
from dlcli.models.images.layers import BATCH_NORM_MOMENTUM, check_sides
from dlcli.models.images.weight_files import DoNotFit, read_weights

Tensor = Any  # a symbolic keras.KerasTensor

Preprocessing = Literal["symmetric", "caffe", "torch", "inside"]


@dataclass(frozen=True)
class Network:
    """A function of keras.applications.

    Attributes:
        function: its name.
        side: side of the images for which its ImageNet weights were trained.
        preprocessing: scaling of pixels that its ImageNet weights expect; ``inside``: the network scales raw pixels.
        smallest_side: smallest side of images that it accepts.
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
NO_OPTIONS: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Parts:
    """A network without its classifier.

    Attributes:
        maps: the last feature maps ``[batch, height, width, channels]``.
        vector: the input of the paper's classifier ``[batch, units]``; None if only the maps were built.
    """

    maps: Tensor
    vector: Tensor | None


def features(inputs: Tensor, *, network: str, with_top: bool, options: Mapping[str, Any] = NO_OPTIONS) -> Parts:
    """Builds a network with random initial weights. Its layers are named as in Keras.

    Args:
        inputs: ``[batch, height, width, channels]``, scaled as the network expects.
        network: a key of NETWORKS.
        with_top: also build the layers that the paper has between feature maps and classifier, such as pooling.
        options: further arguments of the function: ``alpha``, ``depth_multiplier``, ``minimalistic``.

    Raises:
        InputError: the images are smaller than the network accepts.
    """
    net = NETWORKS[network]
    check_sides(inputs, smallest=net.smallest_side, network=network)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras warns of image sizes other than those of its ImageNet weights
        model = _function(net)(
            weights=None,
            include_top=with_top,
            input_tensor=inputs,
            input_shape=tuple(inputs.shape[1:]),
            **_keys(with_top),
            **options,
        )
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):  # up to 0.999 in Keras: too slow for small data sets
            layer.momentum = BATCH_NORM_MOMENTUM
    return _parts(model, with_top=with_top)


def with_dropout(parts: Parts, dropout: float) -> Tensor:
    """The vector with another dropout rate."""
    own = [layer for layer in keras.Model(parts.maps, parts.vector).layers if isinstance(layer, keras.layers.Dropout)]
    for layer in own:
        layer.rate = dropout
    return parts.vector if own or dropout == 0 else keras.layers.Dropout(dropout, name="head_dropout")(parts.vector)


def _function(net: Network) -> Any:
    return getattr(keras.applications, net.function)


def _keys(with_top: bool) -> dict[str, Any]:
    return {"classes": IMAGENET_CLASSES, "classifier_activation": None} if with_top else {}


def _parts(model: keras.Model, *, with_top: bool) -> Parts:
    """Removes the classifier, which is the last layer with weights."""
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


def give_weights(
    target: keras.Model, source: keras.Model, *, with_top: bool, logits: keras.layers.Dense | None = None
) -> None:
    """Copies the weights of a network to another of the same kind.

    Args:
        target: the built network, from its scaled inputs to its maps or, with ``with_top``, to its vector.
        source: the network with weights, as returned by `trained_model`.
        with_top: whether both were built with it.
        logits: a layer of 1,000 units that gets the classifier's weights; only with ``with_top``.

    Raises:
        InputError: the target is for images of another number of channels.
    """
    parts = _parts(source, with_top=with_top)
    trained = keras.Model(source.input, parts.vector if with_top else parts.maps).weights
    if [weight.shape for weight in trained] != [weight.shape for weight in target.weights]:
        raise InputError(
            "the weights are for color images. Set data.color_mode: rgb, or remove model.weights to train from scratch."
        )
    for own, weight in zip(target.weights, trained, strict=True):
        own.assign(weight)
    if logits is not None:
        give_classifier(logits, source)


def give_classifier(logits: keras.layers.Dense, source: keras.Model) -> None:
    """Copies the weights of a network's classifier, its last layer with weights, to ``logits``.

    Raises:
        InputError: that layer is not a classifier of 1,000 classes.
    """
    last = [layer for layer in source.layers if layer.weights][-1]
    shapes = [tuple(weight.shape) for weight in last.weights]
    if len(shapes) != 2 or shapes[1] != (IMAGENET_CLASSES,) or math.prod(shapes[0]) != math.prod(logits.kernel.shape):
        raise InputError(f"the weights have no classifier of {IMAGENET_CLASSES:,} classes; they end in '{last.name}'.")
    logits.kernel.assign(keras.ops.reshape(last.weights[0], logits.kernel.shape))  # a 1x1 convolution in some networks
    logits.bias.assign(last.weights[1])


def trained_model(
    network: str, *, with_top: bool, file: str | None, options: Mapping[str, Any] = NO_OPTIONS
) -> keras.Model:
    """A network of keras.applications with pretrained weights.

    Args:
        network: a key of NETWORKS.
        with_top: include the classifier.
        file: weights of this network saved by Keras, with or without a classifier of 1,000 classes (``.weights.h5`` or
            ``.h5``); None for the ImageNet weights, which Keras downloads and verifies.
        options: further arguments of the function.

    Raises:
        InputError: the weights are not available, or are not those of this network.
    """
    if file is None:
        return imagenet_model(network, with_top=with_top, options=options)
    return _from_file(network, file, with_top=with_top, options=options)


def imagenet_model(network: str, *, with_top: bool, options: Mapping[str, Any] = NO_OPTIONS) -> keras.Model:
    """The network with its ImageNet weights, from Keras's cache or downloaded into it.

    Raises:
        InputError: they are not available.
    """
    net = NETWORKS[network]
    try:
        with _showing_downloads():
            return _function(net)(
                weights="imagenet", include_top=with_top, input_shape=(net.side, net.side, 3), **options
            )
    except Exception as error:  # Keras raises a bare Exception for a network that fails
        raise InputError(_not_available(network, " ".join(str(error).split()))) from None


@contextlib.contextmanager
def _showing_downloads() -> Iterator[None]:
    """Shows the progress of Keras's downloads on stderr, in place of stdout, once a download has started."""
    with contextlib.redirect_stdout(_Held()):
        yield


class _Held(io.StringIO):
    def write(self, text: str) -> int:
        super().write(text)
        if text.strip() and not text.startswith("Downloading"):
            sys.stderr.write(self.getvalue())
            self.seek(0)
            self.truncate()
        return len(text)


def read_class_index() -> dict[str, list[str]]:
    """Keras's index of the ImageNet classes, ``{"0": ["n01440764", "tench"], …}``, from its cache or downloaded.

    Raises:
        InputError: it is not available.
    """
    try:
        with _showing_downloads():
            decoded = keras.applications.imagenet_utils.decode_predictions(np.eye(IMAGENET_CLASSES), top=1)
    except Exception as error:  # Keras raises a bare Exception for a network that fails
        raise InputError(
            f"the names of ImageNet's classes are not in {_cache() / 'imagenet_class_index.json'} and cannot be "
            f"downloaded ({' '.join(str(error).split())[:200]}). Name the file with --class-index FILE."
        ) from None
    return {str(i): [number, name] for i, [(number, name, _)] in enumerate(decoded)}


def _cache() -> Path:
    """The folder in which Keras caches the weights of its networks."""
    return Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models"


def _not_available(network: str, reason: str) -> str:
    """Why ImageNet weights are not available, and what to do."""
    address = next((word.rstrip(":,") for word in reason.split() if word.startswith("https://")), None)
    if address is None:  # such as an alpha without pretrained weights
        return f"there are no ImageNet weights for this {network}: {reason[:300]}"
    return (
        f"the ImageNet weights of {network} are not in {_cache()}, and {address} cannot be reached. Download that file "
        "on a machine with a network connection and copy it there, name another file with model.weights "
        "(--weights PATH), or train from random weights with none."
    )


def _from_file(network: str, file: str, *, with_top: bool, options: Mapping[str, Any]) -> keras.Model:
    """The network with the weights in a file. Without ``with_top``, the file may have a classifier or not."""
    net = NETWORKS[network]
    reasons = []
    for has_classifier in (True,) if with_top else (False, True):
        model = _function(net)(weights=None, include_top=has_classifier, input_shape=(net.side, net.side, 3), **options)
        try:
            read_weights(model, file)
        except DoNotFit as error:
            reasons.append(str(error))
            continue
        if has_classifier and not with_top:
            return keras.Model(model.input, _parts(model, with_top=True).maps)
        return model
    head = " with its classifier of 1,000 classes (head: paper needs it; head: average does not)" if with_top else ""
    called = " ".join([network, *(f"{key}={value}" for key, value in options.items())])
    raise InputError(f"{file}: its weights do not fit {called}{head}: {reasons[0]}")
