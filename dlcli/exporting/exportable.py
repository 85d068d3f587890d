"""What is exported: a Keras model with named inputs and outputs, and samples on which it is checked."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.exporting.comparison import Arrays, Comparison


class NotConvertible(Exception):
    """A format has no operation for a part of a network."""


class Runtime(Protocol):
    """An exported model that is loaded by its own runtime."""

    def __call__(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """The outputs for a batch of inputs."""
        ...


@dataclass(frozen=True)
class Exportable:
    """What a task exports of a run.

    Attributes:
        model: its inputs have names, its outputs are a dictionary.
        digest: the SHA-256 of the file that its weights were read from.
        epoch: of these weights, if the run is not complete; None otherwise.
        num_bytes: the size of model.keras, or of the weights of an incomplete run's checkpoint.
        inputs, outputs: what each input and output is: unit, range, order, what padding is.
        split: what the samples are of, such as ``test``.
        batches: samples on which the exported model is checked: the inputs of each batch, whose samples have one shape.
        representative: further inputs of one sample each, from the training split, by which int8 ranges are chosen.
        compare: compares the outputs of all batches, those of the Keras model first.
        evaluate: the metrics of the whole split, with the exported model in place of the Keras model; its files are
            written into a folder. None for a task whose evaluation needs more than the exported outputs.
        client: the lines of an example client between its imports and the call of the model, and after it.
        info: further facts for export.json, such as how images are resized.
        files: further files by name, such as labels and vocabularies.
    """

    model: keras.Model
    digest: str
    epoch: int | None
    num_bytes: int
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    split: str
    batches: Sequence[Arrays]
    representative: Callable[[], Iterator[Arrays]]
    compare: Callable[[Sequence[Arrays], Sequence[Arrays]], Comparison]
    evaluate: Callable[[Runtime, Path], dict[str, Any]] | None
    client: "ClientLines"
    info: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ClientLines:
    """The lines of an example client that depend on the task.

    Attributes:
        purpose: what the client does and how it is called, its first line.
        imports: statements.
        prepare: statements that set ``inputs``, the arrays by name, from ``sys.argv``.
        show: statements that print ``outputs``, the arrays by name.
    """

    purpose: str
    imports: Sequence[str]
    prepare: Sequence[str]
    show: Sequence[str]


def signature_of(model: keras.Model, batch: int | None = None) -> list[Any]:
    """The inputs of a model as Keras's exporters take them, with names and for one size of batches, if it is given."""
    specs = [tf.TensorSpec((batch, *x.shape[1:]), x.dtype, name=x.name) for x in model.inputs]
    return [{spec.name: spec for spec in specs}] if len(specs) > 1 else specs


def keras_runtime(model: keras.Model) -> Runtime:
    """The Keras model as a runtime: compiled, in inference mode."""
    compiled = tf.function(lambda inputs: model(inputs, training=False), reduce_retracing=True, autograph=False)

    def run(inputs: Arrays) -> dict[str, NDArray[Any]]:
        tensors = {name: tf.constant(value) for name, value in inputs.items()}
        outputs = compiled(tensors if len(tensors) > 1 else next(iter(tensors.values())))
        return {name: np.asarray(value) for name, value in outputs.items()}

    return run


def spread(total: int, number: int) -> NDArray[np.int64]:
    """Positions of some of the samples, evenly spread: splits may be in the order of the classes."""
    return np.unique(np.linspace(0, total - 1, min(total, number)).round().astype(np.int64))


def num_samples(batch: Arrays) -> int:
    """The number of samples of a batch."""
    return len(next(iter(batch.values())))


def single_samples(batches: Sequence[Arrays]) -> Iterator[Arrays]:
    """The samples of batches as batches of one."""
    for batch in batches:
        for row in range(num_samples(batch)):
            yield {name: values[row : row + 1] for name, values in batch.items()}


def one_by_one(runtime: Runtime) -> Runtime:
    """A runtime for batches, from one whose model takes a single sample."""

    def run(inputs: Arrays) -> dict[str, NDArray[Any]]:
        outputs = [runtime(sample) for sample in single_samples([inputs])]
        return {name: np.concatenate([output[name] for output in outputs]) for name in outputs[0]}

    return run
