"""What a network says about one of its outputs, as a function of the vectors of a sequence's steps.

The vectors are the embeddings of tokens or the features of a series. Sequences of one length are given together, so
that none is padded.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.explanation.method import MOST_AT_ONCE, batches
from dlcli.explanation.network import NotExplainable, Tensor

VALUES_AT_ONCE = 2**22
FAR_BELOW = -1e30


@dataclass(frozen=True)
class Scores:
    """The scores of a network's outputs.

    Attributes:
        outputs: vectors float32 ``[b, steps, width]`` -> logits or numbers ``[b, outputs, values]``, in inference mode;
            one output for a whole sequence, or one for each step.
        width: of the vector of a step.
        num_values: of an output: its classes or tokens, or the numbers.
        is_class: the values are logits, and a value's score is its log-odds.
    """

    outputs: Callable[[Tensor], Tensor]
    width: int
    num_values: int
    is_class: bool

    def __post_init__(self) -> None:
        if self.is_class and self.num_values < 2:
            raise NotExplainable("must have at least two classes to be explained. Received one.")

    def at_once(self, steps: int) -> int:
        """How many sequences of that many steps are given together, so that memory is bounded."""
        return max(1, min(MOST_AT_ONCE, VALUES_AT_ONCE // (steps * max(self.width, self.num_values))))

    def values(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """The outputs ``[b, outputs, values]`` of vectors ``[b, steps, width]``."""
        parts = batches(len(points), self.at_once(points.shape[1]))
        return np.concatenate([self._values(points[part]).numpy() for part in parts])

    def scores(self, points: NDArray[np.float32], choices: NDArray[np.int32]) -> NDArray[np.float32]:
        """The score of one value of one output for each sequence, ``[b]``.

        Args:
            points: ``[b, steps, width]``.
            choices: the numbers of the output and of its value, ``[b, 2]``.
        """
        parts = batches(len(points), self.at_once(points.shape[1]))
        return np.concatenate([self._scores(points[part], choices[part]).numpy() for part in parts])

    def gradients(
        self, points: NDArray[np.float32], choices: NDArray[np.int32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The scores as :meth:`scores`, and their gradients with respect to the vectors ``[b, steps, width]``.

        Raises:
            NotExplainable: the outputs have no gradient.
        """
        parts = batches(len(points), self.at_once(points.shape[1]))
        found = [self._gradients(points[part], choices[part]) for part in parts]
        scores, slopes = (np.concatenate([tensor.numpy() for tensor in column]) for column in zip(*found, strict=True))
        return scores, slopes

    @functools.cached_property
    def _values(self) -> Any:
        return self._traced(lambda points: tf.cast(self.outputs(points), tf.float32), with_choices=False)

    @functools.cached_property
    def _scores(self) -> Any:
        return self._traced(self._score, with_choices=True)

    @functools.cached_property
    def _gradients(self) -> Any:
        def gradients(points: Tensor, choices: Tensor) -> tuple[Tensor, Tensor]:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(points)
                scores = self._score(points, choices)
            slopes = tape.gradient(scores, points)
            if slopes is None:
                raise NotExplainable(
                    "its outputs have no gradient with respect to the steps. Use --method leave-one-out."
                )
            return scores, slopes

        return self._traced(gradients, with_choices=True)

    def _traced(self, function: Callable[..., Any], *, with_choices: bool) -> Any:
        signature = [tf.TensorSpec([None, None, self.width], tf.float32)]
        signature += [tf.TensorSpec([None, 2], tf.int32)] if with_choices else []
        return tf.function(function, input_signature=signature, autograph=False)

    def _score(self, points: Tensor, choices: Tensor) -> Tensor:
        outputs = tf.cast(self.outputs(points), tf.float32)
        values = tf.gather(outputs, choices[:, 0], batch_dims=1)
        if not self.is_class:
            return tf.gather(values, choices[:, 1], batch_dims=1)
        return log_odds(values, choices[:, 1])


def log_odds(logits: Tensor, classes: Tensor) -> Tensor:
    """``log p / (1 - p)`` of a class for each sample ``[b]``: unlike a logit, it does not change with all logits.

    Args:
        logits: ``[b, classes]``, of at least two classes.
        classes: int32 ``[b]``.
    """
    is_own = tf.one_hot(classes, tf.shape(logits)[-1], on_value=True, off_value=False, dtype=tf.bool)
    others = tf.reduce_logsumexp(tf.where(is_own, FAR_BELOW, logits), axis=1)
    return tf.gather(logits, classes, batch_dims=1) - others
