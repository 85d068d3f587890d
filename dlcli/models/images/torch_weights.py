"""Weights of torchvision's and timm's networks for those of the same names here.

Layers are matched by name. In a network of PyTorch, kernels are ``[out, in, height, width]``; VGG's convolutions have a
bias before batch normalization, which is subtracted from the moving mean here; and what is added to the variance in
dual path networks is 1e-3 there, whose difference becomes part of the moving variance.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import keras
import numpy as np
from numpy.typing import NDArray

from dlcli.models.images.torch_names import Place, dual_path_place, residual_place, vgg_places
from dlcli.models.images.weight_files import DoNotFit

Arrays = Mapping[str, NDArray[Any]]
Naming = Literal["residual", "vgg", "dual_path"]

EPSILON: Mapping[Naming, float] = {"residual": 1e-5, "vgg": 1e-5, "dual_path": 1e-3}
"""What is added to the variance in batch normalization there."""
NORM = ("weight", "bias", "running_mean", "running_var")
PARALLEL = "module."  # prefix of all names where a network was trained on several devices
HEADS = ("fc.", "classifier.", "head.", "last_linear.")
BACKBONE = "backbone.body."  # prefix of the backbone's names in torchvision's detectors
MAX_NAMED = 3


def assign_torch_weights(network: keras.Model, arrays: Arrays, *, naming: Naming) -> None:
    """Assign all weights of a network from those of a network of PyTorch.

    Args:
        network: from scaled input to feature maps, of the ``features`` of ``resnet``, ``resnext``, ``senet``,
            ``dpn`` or ``vgg``.
        arrays: by their names; those of the classifier are ignored, and of a detector all but its backbone's.
        naming: how layers are named there.

    Raises:
        DoNotFit: an array is missing, has another shape or is not finite; or the file has further blocks.
    """
    arrays = {name.removeprefix(PARALLEL): values for name, values in arrays.items()}
    of_backbone = {name.removeprefix(BACKBONE): values for name, values in arrays.items() if name.startswith(BACKBONE)}
    arrays = of_backbone or arrays
    if naming == "residual" and "layer0.conv1.weight" in arrays:
        raise DoNotFit(
            "the file is of one of timm's legacy networks, whose first pooling pads one side; use the file of the "
            "network of the same name without 'legacy_'"
        )
    layers = [layer for layer in network.layers if layer.weights]
    file = _File(arrays)
    places = _places([layer.name for layer in layers], naming)
    bias: NDArray[np.float32] | None = None  # of the last convolution, where it has none here
    for layer in layers:
        place = places.get(layer.name)
        if place is None:
            raise DoNotFit(f"layer '{layer.name}' has no counterpart in such a file")
        if isinstance(layer, keras.layers.BatchNormalization):
            values = [file.take(f"{place.name}.{part}", layer.gamma.shape) for part in NORM]
            values[2] = values[2] if bias is None else values[2] - bias
            values[3] = values[3] + np.float32(EPSILON[naming] - layer.epsilon)
            layer.set_weights(values)
            continue
        kernel = file.take_kernel(place, tuple(layer.kernel.shape))
        if layer.use_bias:
            layer.set_weights([kernel, file.take(f"{place.name}.bias", (kernel.shape[-1],))])
            continue
        layer.set_weights([kernel])
        has_bias = f"{place.name}.bias" in arrays
        bias = file.take(f"{place.name}.bias", (kernel.shape[-1],)) if has_bias else None
    file.refuse_rest()


def _places(layers: list[str], naming: Naming) -> Mapping[str, Place | None]:
    if naming == "vgg":
        return vgg_places(layers)
    find = residual_place if naming == "residual" else dual_path_place
    return {layer: find(layer) for layer in layers}


class _File:
    """The arrays of a file, of which all must be taken."""

    def __init__(self, arrays: Arrays) -> None:
        self._arrays = arrays
        self._num_taken: dict[str, int] = {}  # filters, by name

    def take(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """An array of this shape, in Keras's order of axes."""
        values = self._values(name)
        self._check(name, values, shape)
        self._num_taken[name] = values.shape[-1]
        return values

    def take_kernel(self, place: Place, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """The kernel of a convolution or, for a shape of two axes, of a dense layer."""
        if place.alone is not None and f"{place.alone}.weight" in self._arrays:
            return self.take(f"{place.alone}.weight", shape)
        name = f"{place.name}.weight"
        values = self._values(name)
        if len(shape) == 2 and values.shape[:-2] == (1, 1):  # a dense layer is a 1x1 convolution there
            values = values[0, 0]
        if place.half is not None:
            start = self._num_taken.get(name, 0)
            if place.half == "rest" and values.shape[-1] != start + shape[-1]:
                self._check(name, values, (*shape[:-1], start + shape[-1]))
            values = values[..., start : start + shape[-1]]
        self._check(name, values, shape)
        self._num_taken[name] = self._num_taken.get(name, 0) + shape[-1]
        return values

    def _values(self, name: str) -> NDArray[np.float32]:
        if name not in self._arrays:
            raise DoNotFit(f"the file has no '{name}'")
        values = np.asarray(self._arrays[name], np.float32)
        if not np.isfinite(values).all():
            raise DoNotFit(f"'{name}' holds values that are not finite")
        return values.transpose(2, 3, 1, 0) if values.ndim == 4 else values

    @staticmethod
    def _check(name: str, values: NDArray[np.float32], shape: tuple[int, ...]) -> None:
        if values.shape != shape:
            raise DoNotFit(f"'{name}' has the shape {_text(values.shape)} there and {_text(shape)} here")

    def refuse_rest(self) -> None:
        """Refuse the weights of a network with further layers, but for the classifier and counters."""
        is_other: Callable[[str], bool] = lambda name: not name.startswith(HEADS)  # noqa: E731
        rest = [
            name
            for name in self._arrays
            if name not in self._num_taken and is_other(name) and not name.endswith("num_batches_tracked")
        ]
        if rest:
            more = f" and {len(rest) - MAX_NAMED:,} more" if len(rest) > MAX_NAMED else ""
            named = ", ".join(map(repr, rest[:MAX_NAMED]))
            raise DoNotFit(f"the file has {named}{more}, which this network does not have")


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
