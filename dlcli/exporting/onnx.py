"""ONNX: converted by Keras with tf2onnx, quantized and run by ONNX Runtime (https://onnxruntime.ai)."""

import contextlib
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

FLOAT, DOUBLE = 1, 11  # of onnx.TensorProto
INPUT_CAST, CAST_TO_HALF = "graph_input_cast", "_cast_to_fp16_node"
"""The start and the end of the names of the casts from float32 to float16 that ONNX Runtime's converter inserts."""
WEIGHTED = ("Conv", "ConvTranspose", "MatMul", "Gemm", "LSTM", "GRU", "RNN")
"""The operations that have weights, besides Gather of a table, and loops that have one of these."""


def write(model: keras.Model, path: Path, quantization: Quantization | None, representative: Iterator[Arrays]) -> None:
    """Write the file of a model.

    Args:
        path: of the file, which must not exist.
        representative: inputs of one sample each, for int8.

    Raises:
        NotConvertible: ONNX lacks an operation.
    """
    with plain_operations(), _selection_of_missing_values(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras asks NumPy for an attribute that it removed
        model.export(path, format="onnx", verbose=False, input_signature=signature_of(model))
        _keep_constants(model, path)
        if quantization is not None:
            load(path)  # a network that is not convertible should not look like one that cannot be quantized
            _quantize(path, quantization, representative)


@contextlib.contextmanager
def _selection_of_missing_values() -> Iterator[None]:
    """Context in which a selection of numbers is ONNX's Where: tf2onnx multiplies by 0 what is not selected, which is
    NaN for a missing value."""
    from tf2onnx.onnx_opset import controlflow

    select: Any = controlflow.Select

    def multiply(cls: Any, ctx: Any, node: Any, /, **kwargs: Any) -> None:
        if ctx.get_dtype(node.output[0]) not in (FLOAT, DOUBLE):  # ONNX Runtime has no Where of booleans
            original.__func__(cls, ctx, node, **kwargs)
            return
        node.set_attr("handles_nan", True)
        cls.version_9(ctx, node, **kwargs)

    original = select.__dict__["version_7"]
    select.version_7 = classmethod(multiply)
    try:
        yield
    finally:
        select.version_7 = original


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

        proto = onnx.load(path)
        outer = _before_and_after_weights(proto.graph)
        proto = convert_float_to_float16(proto, keep_io_types=True, node_block_list=outer)
        _skip_casts_to_and_fro(proto.graph, set(outer))
        onnx.save(proto, path)
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


def _before_and_after_weights(graph: Any) -> list[str]:
    """The names of the nodes before the first layer with weights and after the last one on every path.

    They scale raw values and predictions, which float16 may not hold (above 65,504) or not distinguish.
    """
    tables = {tensor.name for tensor in graph.initializer if tensor.data_type == FLOAT}
    weighted = {node.name for node in graph.node if _has_weights(node, tables)}
    behind: set[str] = set()  # tensors that depend on weights
    before: set[str] = set()  # tensors on which weights depend
    for node in graph.node:  # in topological order
        if node.name in weighted or not behind.isdisjoint(node.input):
            behind.update(node.output)
    for node in reversed(graph.node):
        if node.name in weighted or not before.isdisjoint(node.output):
            before.update(node.input)
    return [
        node.name
        for node in graph.node
        if node.name not in weighted and (behind.isdisjoint(node.output) or before.isdisjoint(node.output))
    ]


def _has_weights(node: Any, tables: set[str]) -> bool:
    """Whether a node, or one of the graph that it repeats, has weights.

    Args:
        tables: the names of constants, of which Gather takes the embeddings of tokens.
    """
    return any(
        part.op_type in WEIGHTED or (part.op_type == "Gather" and part.input[0] in tables)
        for part in (node, *_inner_nodes(node))
    )


def _inner_nodes(node: Any) -> list[Any]:
    """The nodes of the graph that a node repeats, if it does."""
    inner = [part for attribute in node.attribute if attribute.HasField("g") for part in attribute.g.node]
    return inner + [deeper for part in inner for deeper in _inner_nodes(part)]


def _skip_casts_to_and_fro(graph: Any, outer: set[str]) -> None:
    """Keep float32 between nodes that compute in it: the converter casts every tensor to float16.

    Args:
        outer: the names of these nodes.
    """
    casts = [node for node in graph.node if node.op_type == "Cast"]
    to_half = {
        node.output[0]: node.input[0]
        for node in casts
        if node.name.startswith(INPUT_CAST) or node.name.endswith(CAST_TO_HALF)
    }
    for node in casts:
        if node.attribute[0].i == FLOAT and node.input[0] in to_half:
            node.op_type, node.input[0] = "Identity", to_half[node.input[0]]
            del node.attribute[:]
    for node in graph.node:
        for part in _inner_nodes(node) if node.name in outer else ():  # of a loop, which also takes tensors by name
            part.input[:] = [to_half.get(name, name) for name in part.input]


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
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph, NotImplemented

    onnxruntime.set_default_logger_severity(4)  # fatal errors: others are raised, too
    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    except (Fail, InvalidGraph, NotImplemented):  # tf2onnx leaves operations as they are that it cannot convert
        raise NotConvertible from None
    names = [output.name for output in session.get_outputs()]

    def run(inputs: Arrays) -> dict[str, NDArray[Any]]:
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))

    return run
