"""A network of series opened for explanation: its outputs as a function of the features, missing values included."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.explanation.checks.randomization import Part, shuffled, variables_of
from dlcli.explanation.network import Tensor
from dlcli.explanation.sequences.permutation import Series
from dlcli.explanation.sequences.scores import Scores
from dlcli.explanation.sequences.tokens import of_equal_length

MISSING = np.float32(-3e38)
"""A missing value in a point: unlike NaN, it can be compared and subtracted. Other values are at most 1e18."""


@dataclass(frozen=True)
class SeriesNetwork:
    """A network of series ``[steps, columns]``.

    Attributes:
        model: the whole network.
        scores: of the outputs, one for the whole series, as a function of :meth:`points`.
        means: of the columns in the training split, where an explanation starts.
    """

    model: keras.Model
    scores: Scores
    means: NDArray[np.float32]

    def points(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Series ``[..., columns]`` with MISSING in place of NaN, which the network receives as NaN again: what it does
        about a missing value, such as taking the last known one instead, is part of what is explained.
        """
        return np.where(np.isnan(values), MISSING, values)

    def starts(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """The means in place of all values but the missing ones, which have no share in any output."""
        return np.where(points == MISSING, MISSING, self.means)

    def outputs(self, series: Sequence[Series]) -> NDArray[np.float32]:
        """The logits or numbers of series of any lengths, ``[n, values]``."""
        return np.stack(of_equal_length(series, lambda some, _: list(self.scores.values(self.points(some))[:, 0])))

    def randomized(self, part: Part, seed: int) -> Any:
        """A context in which the weights of the last layer (``head``), or ``all``, have a random order."""
        return shuffled(variables_of(self.model.layers, part), seed)


def open_series_network(model: keras.Model, means: NDArray[np.floating], *, is_class: bool) -> SeriesNetwork:
    """Open a network of series: a classifier at its layer ``logits``, any other at its output.

    Args:
        model: values float32 ``[b, steps, columns]`` -> probabilities ``[b, classes]``, numbers ``[b]`` or ``[b, n]``.

    Raises:
        NotExplainable: it has a single class; the message is written to follow "FILE: ".
    """
    inner = keras.Model(model.input, model.get_layer("logits").output) if is_class else model
    num_values = int(inner.outputs[0].shape[-1]) if len(inner.outputs[0].shape) > 1 else 1

    def outputs(points: Tensor) -> Tensor:
        values = tf.where(tf.equal(points, MISSING), np.float32(np.nan), points)
        return tf.reshape(inner(values, training=False), [-1, 1, num_values])

    scores = Scores(outputs, int(model.inputs[0].shape[-1]), num_values, is_class=is_class)
    return SeriesNetwork(model, scores, means.astype(np.float32))
