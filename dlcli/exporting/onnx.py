"""ONNX: converted by Keras with tf2onnx, quantized and run by ONNX Runtime (https://onnxruntime.ai)."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.exporting.comparison import Arrays
from dlcli.exporting.exportable import NotConvertible, Runtime, signature_of
from dlcli.exporting.formats import Quantization
from dlcli.exporting.plain_operations import plain_operations


def write(model: keras.Model, path: Path, quantization: Quantization | None, representative: Iterator[Arrays]) -> None:
    """Write the file of a model.

    Args:
        path: of the file, which must not exist.
        representative: inputs of one sample each, for int8.

    Raises:
        NotConvertible: ONNX lacks an operation.
    """
    with plain_operations(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras asks NumPy for an attribute that it removed
        model.export(path, format="onnx", verbose=False, input_signature=signature_of(model))
        _keep_constants(model, path)
        if quantization is not None:
            load(path)  # a network that is not convertible should not look like one that cannot be quantized
            _quantize(path, quantization, representative)


def _keep_constants(model: keras.Model, path: Path) -> None:
    """Store the constants of a network in the file: tf2onnx makes further inputs of those that are tensors, such as the
    mean of a normalization layer."""
    import onnx

    proto = onnx.load(path)
    own = {tensor.name for tensor in model.inputs}
    further = [tensor for tensor in proto.graph.input if tensor.name not in own]
    if not further:
        return
    function = tf.function(lambda *inputs: model(*inputs, training=False), input_signature=signature_of(model))
    captures = function.get_concrete_function().graph.captures
    values = [
        np.asarray(outer) for outer, inner in captures if inner.dtype != tf.resource
    ]  # in the order of the inputs
    for tensor, value in zip(further, values, strict=True):
        assert [side.dim_value for side in tensor.type.tensor_type.shape.dim] == list(value.shape)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(value, tensor.name))
        proto.graph.input.remove(tensor)
    onnx.save(proto, path)


def _quantize(path: Path, quantization: Quantization, representative: Iterator[Arrays]) -> None:
    import onnx
    from onnxruntime import quantization as tools

    if quantization == "float16":
        from onnxruntime.transformers.float16 import convert_float_to_float16

        # inputs and outputs stay float32
        onnx.save(convert_float_to_float16(onnx.load(path), keep_io_types=True), path)
        return
    plain = path.with_name(f"plain-{path.name}")
    path.rename(plain)
    if quantization == "dynamic":
        # ONNX Runtime has no convolution of signed weights with activations that are quantized as they come
        tools.quantize_dynamic(plain, path, weight_type=tools.QuantType.QUInt8)
    else:
        prepared = path.with_name(f"prepared-{path.name}")
        tools.shape_inference.quant_pre_process(plain, prepared, skip_symbolic_shape=True)
        # a scale for each channel: those of a depthwise convolution differ by orders of magnitude
        tools.quantize_static(
            prepared, path, _Reader(representative), quant_format=tools.QuantFormat.QDQ, per_channel=True
        )
        prepared.unlink()
    plain.unlink()


class _Reader:
    """Hands the representative inputs to ONNX Runtime, as its CalibrationDataReader."""

    def __init__(self, samples: Iterator[Arrays]) -> None:
        self.samples = samples

    def get_next(self) -> Arrays | None:
        return next(self.samples, None)


def load(path: Path) -> Runtime:
    """Load a file, for the CPU.

    Raises:
        NotConvertible: the file has an operation that ONNX Runtime lacks.
    """
    import onnxruntime
    from onnxruntime.capi.onnxruntime_pybind11_state import InvalidGraph, NotImplemented

    onnxruntime.set_default_logger_severity(4)  # fatal errors: others are raised, too
    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    except (InvalidGraph, NotImplemented):  # tf2onnx leaves operations as they are that it cannot convert
        raise NotConvertible from None
    names = [output.name for output in session.get_outputs()]

    def run(inputs: Arrays) -> dict[str, NDArray[Any]]:
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))

    return run
