"""The best model of a run, loaded once, that predicts samples held in memory: for notebooks and servers."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.replicas import divided
from dlcli.rundir.directory import RunDir
from dlcli.tasks.frozen_network import frozen, is_freezable

Kind = Literal["images", "signals", "volumes", "texts", "series", "tables"]
"""What one sample of a run is."""

MAX_BATCH = 64  # samples that a network is called on at once; more need memory, and gain little


class Predictor(Protocol):
    """A run's best model, loaded once, that predicts samples held in memory.

    Attributes:
        run: the run.
        kind: what one sample is.
        classes: the names of the outputs in their order; empty where there are none.
        model: float32, raw samples in and final predictions out.
        batch_sizes: the numbers of samples that the network is called on, ascending: it is compiled once for each, and
            samples are padded to the next one. Predicting as many samples of each before the first user does avoids
            that this one waits.
    """

    run: RunDir
    kind: Kind
    classes: tuple[str, ...]
    model: keras.Model
    batch_sizes: tuple[int, ...]

    def read(self, sample: Any, *, name: str | None = None) -> Any:
        """Check and prepare one sample, as ``dlcli predict`` does with files; several threads may call it at once.

        Args:
            sample: of images the bytes of a file, in any format that ``dlcli predict`` takes, or an array
                ``[height, width]`` or ``[height, width, channels]``; of signals and volumes an array as in training;
                of texts a string; of series an array ``[steps, features]``; of tables the content of a CSV file.
            name: what messages call the sample; None for "the image", "the text" or the like.

        Raises:
            InputError: it is not what the model takes; an image is refused by the size in its header.
        """
        ...

    def predict(
        self,
        samples: Sequence[Any],
        *,
        top: int = 3,
        score: float | None = None,
        beam: int = 1,
        copy_unknown: bool = False,
    ) -> list[dict[str, Any]]:
        """Predict samples.

        Args:
            samples: what :meth:`read` returned of each; any number of them.
            top: number of classes that are listed for each sample, for classifiers.
            score: the lowest score of an object; None for the one that the run has chosen.
            beam: hypotheses kept at each decoding step, for tasks that generate text.
            copy_unknown: copy unknown tokens from the source text by attention, for tasks that generate a text for
                each.

        Returns:
            The rows of ``dlcli predict --json``, without the names of the samples.
        """
        ...


@dataclass(frozen=True)
class Shown:
    """What can be shown of a prediction of an image besides its row.

    Attributes:
        view: the image as the network sees it, uint8 ``[height, width, channels]``.
        attribution: what in the view speaks for the prediction (above 0) and what against it, ``[height, width]``; None
            for a network without such a map, or an image without an object.
        explained: what the map explains, such as the class.
        mask: the PNG file of the predicted mask at the image's own size, with a palette; None for a task without masks.
    """

    view: NDArray[np.uint8]
    attribution: NDArray[np.float32] | None
    explained: str
    mask: bytes | None


@dataclass(frozen=True)
class ShownTokens:
    """What speaks for a prediction of a text, token by token.

    Attributes:
        tokens: as the text spells them, each with its value: above 0 if it speaks for the output, below 0 if against.
        separator: between tokens: a space between words, nothing between characters.
        explained: the output, such as a class.
        unit: of the values.
    """

    tokens: Sequence[tuple[str, float]]
    separator: str
    explained: str
    unit: str


@dataclass(frozen=True)
class ShownSteps:
    """What speaks for a prediction of a series, step by step.

    Attributes:
        series: float32 ``[steps, columns]``, NaN where missing.
        values: of each value, above 0 if it speaks for the output, below 0 if against it, ``[steps, columns]``.
        columns: their names.
        explained, unit: as of :class:`ShownTokens`.
    """

    series: NDArray[np.float32]
    values: NDArray[np.float64]
    columns: Sequence[str]
    explained: str
    unit: str


@dataclass(frozen=True)
class ShownHistory:
    """The steps before a forecast.

    Attributes:
        series: the name of each series, empty for a single one, and its values, NaN where missing: float64 ``[steps]``.
    """

    series: Sequence[tuple[str, NDArray[np.float64]]]


@runtime_checkable
class ReadsTables(Protocol):
    """A predictor whose samples are tables.

    Attributes:
        needs: what a table must have, in words.
    """

    needs: str

    def example(self) -> Any:
        """A sample as ``read`` returns it, of values 0."""
        ...


@runtime_checkable
class Shows(Protocol):
    """A predictor that can show more of a prediction than its row.

    Attributes:
        shows: whether there is something to show of this model's predictions.
    """

    shows: bool

    def show(self, sample: Any) -> Shown | ShownTokens | ShownSteps | ShownHistory | None:
        """What can be shown of the prediction of one sample; None if there is nothing.

        Args:
            sample: what ``read`` returned of it.
        """
        ...


@runtime_checkable
class TakesClass(Protocol):
    """A predictor whose samples are texts, each with a class: ``{"text": …, "class": …}``.

    Attributes:
        takes_class: whether this model's samples have one.
    """

    takes_class: bool


def takes_class(predictor: Predictor) -> bool:
    """Whether the samples of a predictor are texts with a class."""
    return isinstance(predictor, TakesClass) and predictor.takes_class


@runtime_checkable
class ReadsLines(Predictor, Protocol):
    """A predictor that also reads a sample from a line of text."""

    def read_line(self, line: str, *, name: str) -> Any:
        """As ``read``: a text is the line itself, a series a JSON list ``[steps]`` or ``[steps, features]``.

        Args:
            name: of the line, for messages.

        Raises:
            InputError: it is no such sample.
        """
        ...


class PaddedNetwork:
    """Calls a network on batches of a few sizes, for each of which it is compiled once.

    A network that is called on batches of any size would be compiled for each, or choose its kernels anew. The outputs
    for a sample do not depend on the padding, which repeats the last sample.

    Args:
        network: raw samples in.
        largest: the largest number of samples in a batch that its memory is sure to suffice for.
        freezes: compute with constant weights where memory suffices; the network must have no tables.
    """

    def __init__(self, network: keras.Model, *, largest: int, freezes: bool = False) -> None:
        most = min(MAX_BATCH, max(1, largest))
        self.sizes = tuple(1 << power for power in range(most.bit_length()))
        self._input = network.inputs[0]
        self._lock = threading.Lock()
        self._compiled: dict[int, Any] = {}
        if freezes and is_freezable(network):
            self._compiled = dict.fromkeys(self.sizes, frozen(network))
        self._function = tf.function(divided(lambda x: tf.nest.flatten(network(x, training=False))), autograph=False)

    @property
    def largest(self) -> int:
        """The largest number of samples in a batch."""
        return self.sizes[-1]

    def __call__(self, x: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """The outputs ``[b, ...]`` for a batch ``[b, ...]`` of at most ``largest`` samples."""
        size = next(size for size in self.sizes if size >= len(x))
        padded = np.concatenate([x, np.repeat(x[-1:], size - len(x), axis=0)]) if size > len(x) else x
        outputs = self._of_size(size)(tf.constant(padded, self._input.dtype))
        return tuple(output.numpy()[: len(x)] for output in outputs)

    def _of_size(self, size: int) -> Any:
        """The network, compiled for batches of a size; sides of any length stay so."""
        with self._lock:
            if size not in self._compiled:
                spec = tf.TensorSpec([size, *self._input.shape[1:]], self._input.dtype)
                self._compiled[size] = self._function.get_concrete_function(spec)
            return self._compiled[size]
