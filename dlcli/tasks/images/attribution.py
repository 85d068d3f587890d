"""The methods of attribution for a run's network, and the layers that they use."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from dlcli.errors import InputError
from dlcli.explanation.baselines import BASELINES
from dlcli.explanation.gradcam import gradcam, gradcam_plus_plus
from dlcli.explanation.gradients import gradient, guided_backpropagation, smoothgrad
from dlcli.explanation.integrated import integrated_gradients
from dlcli.explanation.method import Method
from dlcli.explanation.network import Call, Network, NotExplainable
from dlcli.explanation.occlusion import occlusion
from dlcli.models.images.taps import taps
from dlcli.recipe.language.suggestions import did_you_mean
from dlcli.tasks.task import ExplanationRequest

LARGEST_SMALL = 64  # pixels of the longer side
WITH_LAYER = ("gradcam", "gradcam++")
WITH_BASELINE = ("integrated", "occlusion")
WITH_STEPS = ("integrated",)


def methods_of(request: ExplanationRequest, network: Network) -> tuple[str, ...]:
    """The methods that are asked for, each once, with ``auto`` resolved by the size of the images.

    Raises:
        InputError: an option of the request is for none of them.
    """
    auto = ("integrated" if max(network.shape[:2]) <= LARGEST_SMALL else "gradcam", "occlusion")
    methods = tuple(dict.fromkeys(name for given in request.methods for name in (auto if given == "auto" else [given])))
    users = {
        "--layer": (WITH_LAYER, request.layer is not None),
        "--baseline": (WITH_BASELINE, request.baseline is not None),
        "--steps": (WITH_STEPS, request.steps is not None),
    }
    for option, (using, is_given) in users.items():
        if is_given and not set(using) & set(methods):
            named = " and ".join(f"--method {name}" for name in using)
            raise InputError(f"{option} is for {named}. Received the methods {', '.join(methods)}.")
    return methods


def make_methods(
    names: Sequence[str], network: Network, request: ExplanationRequest, *, last: str | None = None
) -> dict[str, Method]:
    """The methods by their names.

    Args:
        last: the layer whose maps Grad-CAM weights by default; see :func:`layer_of`.

    Raises:
        NotExplainable: the network lacks what one of them needs.
        InputError: there is no layer of the name that is given.
    """
    baseline = BASELINES[request.baseline or "black"]
    methods: dict[str, Method] = {}
    for name in names:
        match name:
            case "gradient":
                methods[name] = gradient(network)
            case "smoothgrad":
                methods[name] = smoothgrad(network)
            case "integrated":
                methods[name] = integrated_gradients(network, baseline=baseline, steps=request.steps)
            case "gradcam":
                methods[name] = gradcam(network, layer=layer_of(network, request.layer, last=last))
            case "gradcam++":
                methods[name] = gradcam_plus_plus(network, layer=layer_of(network, request.layer, last=last))
            case "occlusion":
                methods[name] = occlusion(network, baseline=baseline)
            case "guided":
                methods[name] = guided_backpropagation(network)
            case _:
                raise AssertionError(f"a method without a case: {name}")
    return methods


def layer_of(network: Network, name: str | None, *, last: str | None = None, option: str = "--layer") -> str:
    """The name of the call whose maps Grad-CAM weights: the last with more than one position, or the one that is named.

    ``stage2`` is the last layer before the second downsampling of networks whose layers have other names.

    Args:
        last: the layer to take instead of the last one, if none is named, and with which the last stage ends.
        option: that named it.

    Raises:
        NotExplainable: no layer has feature maps.
        InputError: there is no such layer.
    """
    with_maps = [call.name for call in calls_with_maps(network)]
    if not with_maps:
        raise NotExplainable("has no feature maps, which Grad-CAM weights. Use --method integrated.")
    end = last or with_maps[-1]
    if name is None:
        return end
    if name in [call.name for call in network.calls]:
        return name
    stages = stages_of(network, end)
    if name in stages:
        return stages[name]
    hint = did_you_mean(name, [*stages, *with_maps]) or f". Layers with feature maps: {', '.join(with_maps[-5:])}."
    raise InputError(f"{option} {name}: the network has no such layer{hint}")


def calls_with_maps(network: Network) -> list[Call]:
    """The calls whose outputs are learned feature maps of more than one position."""
    learned: set[int] = set()  # tensors that depend on weights: the input and its preprocessing are no features
    found = []
    for call in network.calls:
        if _has_weights(call.operation) or any(id(tensor) in learned for tensor in call.inputs):
            learned.update(id(tensor) for tensor in call.outputs)
            found += [call] if num_positions(call.outputs[0]) > 1 else []
    return found


def stages_of(network: Network, last: str) -> Mapping[str, str]:
    """The last layer of each stage, which is one stride of the feature maps: ``{"stage1": "conv1_relu", …}``.

    Args:
        last: the layer with the last feature maps.
    """
    names = {id(call.outputs[0]): call.name for call in network.calls}
    found = taps(network.inputs, network.layer(last))
    return {f"stage{number}": names[id(maps)] for number, maps in enumerate(found.values(), start=1)}


def _has_weights(operation: Any) -> bool:
    return bool(getattr(operation, "weights", [])) and not isinstance(operation, keras.layers.Normalization)


def num_positions(tensor: Any) -> int:
    """Height times width of feature maps ``[b, height, width, channels]``; 0 for anything else."""
    shape = tensor.shape
    return 0 if len(shape) != 4 or None in shape[1:] else int(shape[1] * shape[2])
