"""LiteRT, formerly TensorFlow Lite: converted by Keras, run by LiteRT (https://ai.google.dev/edge/litert)."""

import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.lite.python.convert_phase import ConverterError

from dlcli.errors import InputError
from dlcli.exporting.comparison import Arrays
from dlcli.exporting.exportable import NotConvertible, Runtime, signature_of
from dlcli.exporting.formats import Quantization
from dlcli.exporting.plain_operations import plain_operations

SIGNATURE = "serving_default"


def write(
    model: keras.Model,
    path: Path,
    quantization: Quantization | None,
    representative: Callable[[], Iterator[Arrays]],
) -> int | None:
    """Write the file of a model.

    LiteRT has lists of tensors, which loops over time steps need, for fixed batches alone: such a network is written
    for one sample at a time.

    Args:
        path: of the file, which must not exist.
        representative: inputs of one sample each, for int8.

    Returns:
        1 if the model takes one sample at a time; None for batches of any size.

    Raises:
        NotConvertible: LiteRT lacks an operation.
        InputError: a network with loops is to have 8 bits, for which the converter would crash the process.
    """
    if quantization == "int8" and _has_loops(model):
        raise InputError(
            "--quantize int8: LiteRT does not support it for loops over steps, which this network has. Use --quantize "
            "dynamic, or --format onnx."
        )
    try:
        _convert(model, path, quantization, representative, batch=None)
    except ConverterError:
        try:
            _convert(model, path, quantization, representative, batch=1)
        except ConverterError:
            raise NotConvertible from None
        return 1
    return None


def _has_loops(model: keras.Model) -> bool:
    """Whether a network loops over steps, as recurrent ones do."""
    function = tf.function(lambda inputs: model(inputs, training=False), input_signature=signature_of(model))
    graph = function.get_concrete_function().graph.as_graph_def()
    nodes = [*graph.node, *(node for inner in graph.library.function for node in inner.node_def)]
    return any(node.op in ("While", "StatelessWhile") for node in nodes)


def _convert(
    model: keras.Model,
    path: Path,
    quantization: Quantization | None,
    representative: Callable[[], Iterator[Arrays]],
    *,
    batch: int | None,
) -> None:
    settings: dict[str, Any] = {"target_spec": {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}}
    if quantization is not None:
        settings["optimizations"] = [tf.lite.Optimize.DEFAULT]  # weights in 8 bits: dynamic
    if quantization == "float16":
        settings["target_spec"]["supported_types"] = [tf.float16]
    elif quantization == "int8":
        settings["representative_dataset"] = lambda: (dict(sample) for sample in representative())
    with plain_operations(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converter's own interpreter, which calibrates int8, is deprecated
        model.export(path, format="litert", verbose=False, input_signature=signature_of(model, batch), **settings)


def load(path: Path) -> Runtime:
    """Load a file, for all cores of the CPU."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=len(os.sched_getaffinity(0)))
    interpreter.allocate_tensors()  # now, as LiteRT prints a line about it
    signature = interpreter.get_signature_runner(SIGNATURE)

    def run(inputs: Arrays) -> dict[str, NDArray[Any]]:
        return {name: np.asarray(value) for name, value in signature(**inputs).items()}

    return run
