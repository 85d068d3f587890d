"""The attention weights of a network of texts: how much each step reads of each other one, and what pooling reads.

They are weights, not reasons: what a network does with the values that it reads does not follow from them (Jain and
Wallace 2019).
"""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

POOLING = "attention_weights"  # the layer of weights over the steps, by which they are averaged


Weights = Mapping[str, Any]
"""Of layers by their names: of self-attention ``[b, heads, steps that read, steps that are read]``, of pooling
``[b, steps, 1]``."""


def attention_of(model: keras.Model) -> Callable[[Any], Weights] | None:
    """The attention weights of a functional model as a function of its inputs; None if it has no attention."""
    calls = {
        node.operation.name: (node.operation, node.arguments)  # Keras's record of the layer's call in this model
        for nodes in model._nodes_by_depth.values()
        for node in nodes
        if isinstance(node.operation, keras.layers.MultiHeadAttention)
    }
    calls = {name: calls[name] for name in (layer.name for layer in model.layers) if name in calls}
    pooling = [model.get_layer(POOLING).output] if POOLING in {layer.name for layer in model.layers} else []
    if not calls and not pooling:
        return None
    inputs = {name: _tensors(given) for name, (_, given) in calls.items()}
    before = keras.Model(model.input, inputs | ({POOLING: pooling} if pooling else {}))

    def weights(raw: Any) -> Weights:
        values = before(raw, training=False)
        found = {}
        for name, (layer, given) in calls.items():
            known = dict(zip(map(id, inputs[name]), values[name], strict=True))
            args, kwargs = _with_values((given.args, given.kwargs), known)
            _, found[name] = layer(*args, **{**kwargs, "return_attention_scores": True})
        return found | ({POOLING: values[POOLING][0]} if pooling else {})

    return weights


def _tensors(given: Any) -> list[Any]:
    """The symbolic tensors among the arguments of a call, each once."""
    leaves = keras.tree.flatten((given.args, given.kwargs))
    return list({id(leaf): leaf for leaf in leaves if isinstance(leaf, keras.KerasTensor)}.values())


def _with_values(arguments: Any, values: Mapping[int, Any]) -> Any:
    """Arguments with values in place of symbolic tensors.

    Args:
        values: by the id of the tensor.
    """
    return keras.tree.map_structure(lambda leaf: values.get(id(leaf), leaf), arguments)


def read_by_heads(weights: Weights, num_steps: int) -> dict[str, NDArray[np.float64]]:
    """What each head of each layer reads of the steps of one sequence on average, ``[steps]``, by name.

    Args:
        weights: of a batch of one sequence, by layer.
        num_steps: without padding.
    """
    found: dict[str, NDArray[np.float64]] = {}
    for layer, values in weights.items():
        array = np.asarray(values, np.float64)[0]
        if layer == POOLING:
            found["pooling"] = array[:num_steps, 0]
            continue
        for head, of_head in enumerate(array, start=1):
            found[f"block {layer.removeprefix('attention')} head {head}"] = of_head[:num_steps, :num_steps].mean(axis=0)
    return found


def read_by_steps(weights: Weights, num_steps: int) -> NDArray[np.float64] | None:
    """What each step reads of each other one in the last layer of self-attention, ``[steps, steps]``, the mean of its
    heads; None for networks without one."""
    layers = [np.asarray(values, np.float64)[0] for layer, values in weights.items() if layer != POOLING]
    return layers[-1][:, :num_steps, :num_steps].mean(axis=0) if layers else None
