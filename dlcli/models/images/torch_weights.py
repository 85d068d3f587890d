"""Weights of torchvision's and timm's ResNet, ResNeXt and VGG for the networks of the same names here.

Layers are matched by name. In a network of PyTorch, kernels are ``[out, in, height, width]``, and VGG's convolutions
have a bias before batch normalization, which is subtracted from the moving mean here.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from dlcli.models.images.weight_files import DoNotFit

Arrays = Mapping[str, NDArray[Any]]

RESIDUAL = re.compile(r"stage(?P<stage>\d+)_block(?P<block>\d+)_(?P<part>\d+|shortcut)_(?P<kind>conv|norm)")
VGG = re.compile(r"stage(?P<stage>\d+)_(?P<kind>conv|norm)(?P<number>\d+)")
PARALLEL = "module."  # prefix of all names where a network was trained on several devices
MAX_NAMED = 3


def residual_name(layer: str) -> str | None:
    """The name of a layer of ResNet and ResNeXt in PyTorch; None for another layer."""
    if layer in ("stem_conv", "stem_norm"):
        return {"stem_conv": "conv1", "stem_norm": "bn1"}[layer]
    match = RESIDUAL.fullmatch(layer)
    if match is None:
        return None
    block = f"layer{match['stage']}.{int(match['block']) - 1}"
    if match["part"] == "shortcut":
        return f"{block}.downsample.{'0' if match['kind'] == 'conv' else '1'}"
    return f"{block}.{'conv' if match['kind'] == 'conv' else 'bn'}{match['part']}"


def vgg_names(layers: list[str]) -> dict[str, str]:
    """The names of the layers of VGG in PyTorch, which counts all layers in their order: ``features.7``."""
    found: dict[str, str] = {}
    has_norm = any("_norm" in layer for layer in layers)
    position, stage = 0, "1"
    for layer in layers:
        match = VGG.fullmatch(layer)
        if match is None:
            continue
        if match["stage"] != stage:
            position, stage = position + 1, match["stage"]  # the pooling between the stages
        if match["kind"] == "conv":
            found[layer] = f"features.{position}"
            position += 3 if has_norm else 2  # with normalization and ReLU
        else:
            found[layer] = f"features.{position - 2}"
    return found


def assign_torch_weights(network: keras.Model, arrays: Arrays, *, is_vgg: bool) -> None:
    """Assign all weights of a network from those of a network of PyTorch.

    Args:
        network: from scaled input to feature maps, of ``resnet.features``, ``resnext.features`` or ``vgg.features``.
        arrays: by their names; those of the classifier are ignored.

    Raises:
        DoNotFit: an array is missing, has another shape or is not finite; or the file has further blocks.
    """
    arrays = {name.removeprefix(PARALLEL): values for name, values in arrays.items()}
    layers = [layer for layer in network.layers if layer.weights]
    names = vgg_names([layer.name for layer in layers]) if is_vgg else {}
    used: set[str] = set()

    def take(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        if name not in arrays:
            raise DoNotFit(f"the file has no '{name}'")
        used.add(name)
        values = np.asarray(arrays[name], np.float32)
        if values.ndim == 4:
            values = values.transpose(2, 3, 1, 0)
        if values.shape != shape:
            raise DoNotFit(f"'{name}' has the shape {_text(values.shape)} there and {_text(shape)} here")
        if not np.isfinite(values).all():
            raise DoNotFit(f"'{name}' holds values that are not finite")
        return values

    bias: NDArray[np.float32] | None = None  # of the convolution before the current layer
    for layer in layers:
        name = names.get(layer.name) if is_vgg else residual_name(layer.name)
        if name is None:
            raise DoNotFit(f"layer '{layer.name}' has no counterpart in such a file")
        if isinstance(layer, keras.layers.BatchNormalization):
            values = [take(f"{name}.{part}", layer.gamma.shape) for part in NORM]
            values[2] = values[2] if bias is None else values[2] - bias
            layer.set_weights(values)
            continue
        kernel = take(f"{name}.weight", tuple(layer.kernel.shape))
        bias = take(f"{name}.bias", (kernel.shape[-1],)) if f"{name}.bias" in arrays else None
        if layer.use_bias and bias is None:
            raise DoNotFit(f"the file has no '{name}.bias'")
        layer.set_weights([kernel, bias] if layer.use_bias else [kernel])
    _refuse_rest(arrays, used)


NORM = ("weight", "bias", "running_mean", "running_var")


def _refuse_rest(arrays: Arrays, used: set[str]) -> None:
    """Refuse the weights of a network with further layers, but for the classifier and counters.

    Raises:
        DoNotFit: there are some; it names them.
    """
    is_other: Callable[[str], bool] = lambda name: not name.startswith(("fc.", "classifier.", "head."))  # noqa: E731
    rest = [name for name in arrays if name not in used and is_other(name) and not name.endswith("num_batches_tracked")]
    if rest:
        more = f" and {len(rest) - MAX_NAMED:,} more" if len(rest) > MAX_NAMED else ""
        raise DoNotFit(f"the file has {', '.join(map(repr, rest[:MAX_NAMED]))}{more}, which this network does not have")


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
