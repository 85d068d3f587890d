"""An exported language model in place of a Keras network, so that it is evaluated by the same code."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.exporting.comparison import Arrays
from dlcli.exporting.exportable import Runtime
from dlcli.tasks.language_model.generator import NextLogits


class ExportedSteps:
    """Predicts the tokens of sequences by an exported model, which predicts one token from the last one and the states,
    or from the last tokens where it has no states.

    Args:
        model: that was exported.
        most: tokens that a model without states sees at most.
    """

    def __init__(self, runtime: Runtime, model: keras.Model, *, most: int) -> None:
        self._runtime, self._most = runtime, most
        self._sizes = {tensor.name: tensor.shape[1] for tensor in model.inputs if tensor.name != "ids"}
        self._states: Arrays | None = None

    def __call__(self, x: Any, *, training: bool = False) -> tf.Tensor:
        """The logits of the next token at each position, ``[b, steps, tokens]``.

        Args:
            x: token ids ``[b, steps]``; or ``ids`` and ``is_first``, which is false where the states at the end of the
                batch before are those at the start of this one.
        """
        assert not training
        is_carried = isinstance(x, dict) and not bool(np.asarray(x["is_first"]).any())
        ids = np.asarray(x["ids"] if isinstance(x, dict) else x, np.int32)
        states = self._states if is_carried and self._states is not None else self._zeros(len(ids))
        logits, self._states = self._steps(ids, states)
        return tf.stack(logits, axis=1)

    def start(self) -> NextLogits:
        """As :meth:`dlcli.tasks.language_model.generator.Generator.compiled` returns it: starts new texts."""
        states: Arrays | None = None
        context: NDArray[np.int32] | None = None

        def next_logits(ids: NDArray[Any]) -> NDArray[Any]:
            nonlocal states, context
            context = ids if context is None else np.concatenate([context, ids], axis=1)
            if not self._sizes:
                return self._runtime({"ids": context[:, -self._most :].astype(np.int32)})["logits"]
            logits, states = self._steps(ids.astype(np.int32), states or self._zeros(len(ids)))
            return logits[-1]

        return next_logits

    def _zeros(self, number: int) -> Arrays:
        return {name: np.zeros((number, size), np.float32) for name, size in self._sizes.items()}

    def _steps(self, ids: NDArray[np.int32], states: Arrays) -> tuple[Sequence[NDArray[Any]], Arrays]:
        """The logits ``[b, tokens]`` after each step, and the states after the last."""
        logits = []
        for step in range(ids.shape[1]):
            first = step if self._sizes else max(0, step + 1 - self._most)
            outputs = self._runtime({"ids": ids[:, first : step + 1], **states})
            states = {name: outputs[f"{name}_next"] for name in self._sizes}
            logits.append(outputs["logits"])
        return logits, states
