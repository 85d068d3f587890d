"""A network of series opened for explanation: its outputs as a function of the features, without missing values."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.explanation.network import Tensor
from dlcli.explanation.sequences.permutation import Series
from dlcli.explanation.sequences.scores import Scores
from dlcli.explanation.sequences.tokens import of_equal_length


@dataclass(frozen=True)
class SeriesNetwork:
    """A network of series ``[steps, columns]``.

    Attributes:
        scores: of the outputs, one for the whole series.
        means: of the columns in the training split, which take the place of missing values, as in the network itself.
    """

    scores: Scores
    means: NDArray[np.float32]

    def filled(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Series ``[..., columns]`` with the means in place of missing values."""
        return np.where(np.isnan(values), self.means, values)

    def outputs(self, series: Sequence[Series]) -> NDArray[np.float32]:
        """The logits or numbers of series of any lengths, ``[n, values]``."""
        return np.stack(of_equal_length(series, lambda some, _: list(self.scores.values(self.filled(some))[:, 0])))


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
        return tf.reshape(inner(points, training=False), [-1, 1, num_values])

    scores = Scores(outputs, int(model.inputs[0].shape[-1]), num_values, is_class=is_class)
    return SeriesNetwork(scores, means.astype(np.float32))
