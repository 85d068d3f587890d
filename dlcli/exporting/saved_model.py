"""TensorFlow's SavedModel: written by Keras, run by TensorFlow (https://www.tensorflow.org/guide/saved_model)."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.exporting.comparison import Arrays
from dlcli.exporting.exportable import signature_of


def write(model: keras.Model, path: Path) -> None:
    """Write the folder of a model.

    Args:
        path: of the folder, which must not exist.
    """
    model.export(path, format="tf_saved_model", verbose=False, input_signature=signature_of(model))


class SavedModel:
    """A loaded SavedModel: a runtime for arrays, whose ``signature`` also takes tensors, by keywords."""

    def __init__(self, path: Path) -> None:
        self._loaded = tf.saved_model.load(str(path))  # holds the variables
        self.signature: Any = self._loaded.signatures["serving_default"]

    def __call__(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        outputs = self.signature(**{name: tf.constant(value) for name, value in inputs.items()})
        return {name: np.asarray(value) for name, value in outputs.items()}


def load(path: Path) -> SavedModel:
    """Load a folder that :func:`write` wrote, and nothing else: a SavedModel is code."""
    return SavedModel(path)
