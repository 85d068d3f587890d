"""An exported model in place of a Keras model, so that it is evaluated by the same code."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlcli.exporting.exportable import Runtime
from dlcli.exporting.saved_model import SavedModel

Tensor = Any  # a symbolic keras.KerasTensor
LABELS = 'labels = json.loads((here / "labels.json").read_text(encoding="utf-8"))["classes"]'
SHOW_CLASSES = (
    LABELS,
    'probabilities = outputs["probabilities"][0]',
    "for i in np.argsort(-probabilities)[:3]:",
    '    print(f"{probabilities[i]:.4f}  {labels[i]}")',
)
"""Lines of an example client that print the most probable classes."""
SHOW_LABELS = (
    LABELS,
    'thresholds = json.loads((here / "export.json").read_text(encoding="utf-8"))["thresholds"]',
    'for label, p, threshold in zip(labels, outputs["probabilities"][0], thresholds):',
    """    print(f"{p:.4f}  {label}{'  applies' if p >= threshold else ''}")""",
)
"""Lines of an example client that print the labels that apply."""
SMALLEST = float(np.finfo(np.float32).tiny)  # of a probability whose logarithm is taken


class _Exported(keras.layers.Layer):  # type: ignore[misc]
    """Calls an exported model with the inputs that the layer is called with."""

    def __init__(self, runtime: Runtime, model: keras.Model) -> None:
        super().__init__(name="exported")
        self.runtime = runtime
        self.input_names = [tensor.name for tensor in model.inputs]
        self.specs = {name: (tuple(x.shape), x.dtype) for name, x in model.output.items()}

    def call(self, *inputs: Any) -> dict[str, Any]:
        if isinstance(self.runtime, SavedModel):  # TensorFlow cannot wait for itself in one of its own threads
            found = self.runtime.signature(**dict(zip(self.input_names, inputs, strict=True)))
            return {name: found[name] for name in self.specs}

        def run(*arrays: Any) -> list[Any]:
            outputs = self.runtime(dict(zip(self.input_names, arrays, strict=True)))
            return [outputs[name].astype(dtype) for name, (_, dtype) in self.specs.items()]

        tensors = tf.numpy_function(run, inputs, [dtype for _, dtype in self.specs.values()])
        return {
            name: tf.ensure_shape(tensor, shape)
            for (name, (shape, _)), tensor in zip(self.specs.items(), tensors, strict=True)
        }

    def compute_output_spec(self, *inputs: Any) -> dict[str, Any]:
        return {name: keras.KerasTensor(shape, dtype=dtype) for name, (shape, dtype) in self.specs.items()}


class _Second(keras.layers.Layer):  # type: ignore[misc]
    """Returns its second input; the first is part of the network only so that it can be read from it."""

    def call(self, first: Tensor, second: Tensor) -> Tensor:
        return second + keras.ops.zeros_like(second)

    def compute_output_spec(self, first: Tensor, second: Tensor) -> Tensor:
        return keras.KerasTensor(second.shape, dtype=second.dtype)


def exported_outputs(model: keras.Model, runtime: Runtime, inputs: Sequence[Tensor] | None = None) -> dict[str, Tensor]:
    """The outputs of an exported model as tensors that depend on the Keras model's inputs.

    Args:
        model: that was exported; its outputs are a dictionary.
        inputs: other tensors in place of its inputs.
    """
    outputs: dict[str, Tensor] = _Exported(runtime, model)(*(model.inputs if inputs is None else inputs))
    return outputs


def named(outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Outputs as those of layers of their names."""
    return {name: keras.layers.Identity(dtype=x.dtype, name=name)(x) for name, x in outputs.items()}


def with_logits(probabilities: Tensor, *, kind: str = "softmax") -> Tensor:
    """Probabilities as the output of a layer of that name, behind a layer ``logits`` that is computed from them.

    Args:
        kind: softmax, whose logits are known but for a constant, for which 0 is taken; or sigmoid.
    """
    p = keras.ops.clip(probabilities, SMALLEST, 1.0)
    logits = keras.ops.log(p)
    if kind == "sigmoid":
        logits = logits - keras.ops.log(keras.ops.maximum(1.0 - probabilities, SMALLEST))
    logits = keras.layers.Identity(dtype="float32", name="logits")(logits)
    return _Second(name="probabilities")(logits, probabilities)
