"""Drop path: in training, the output of an operation is dropped for some samples of a batch.

Larsson, Maire and Shakhnarovich 2017, "FractalNet"; with a rate that grows from cell to cell and over training as
"ScheduledDropPath" of Zoph et al. 2018, section 4 (version 3 of the released code).
"""

from typing import Any

import keras

Tensor = Any  # a symbolic keras.KerasTensor


class Progress:
    """The proportion of training that is done, in [0, 1], which the training step sets before each step.

    It is a variable, so that a compiled step can change it, but not a weight: checkpoints do not need it, because it
    follows from the number of the step.
    """

    def __init__(self) -> None:
        self.variable = keras.Variable("zeros", shape=(), trainable=False, dtype="float32", name="progress")


@keras.saving.register_keras_serializable(package="dlcli")
class DropPath(keras.layers.Layer):  # type: ignore[misc]
    """Sets the maps of whole samples to 0 at random in training, and scales the others so that the mean is unchanged.

    Args:
        rate: probability of dropping a sample at the end of training, in [0, 1); before that, times the progress.
        progress: of the training, shared by the layers of a network; 0 for a layer that nothing trains.
    """

    def __init__(self, rate: float, progress: Progress | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.rate = rate
        self.progress = progress or Progress()
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, x: Tensor, training: bool | None = None) -> Tensor:
        if not training:
            return x
        keep = 1.0 - self.rate * keras.ops.convert_to_tensor(self.progress.variable)
        shape = (keras.ops.shape(x)[0], *[1] * (len(x.shape) - 1))
        is_kept = keras.random.uniform(shape, dtype="float32", seed=self.seed_generator) < keep
        return x * keras.ops.cast(keras.ops.where(is_kept, 1.0 / keep, 0.0), x.dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate}


def without_drop_path(model: keras.Model) -> keras.Model:
    """The same network with the same weights, in which Keras's identity takes the place of drop path.

    At inference they are the same, and a program needs nothing of dlcli to load it.
    """
    if not any(isinstance(layer, DropPath) for layer in model.layers):
        return model

    def replaced(layer: Any) -> Any:
        if isinstance(layer, DropPath):
            return keras.layers.Identity(name=layer.name, dtype=layer.dtype_policy.name)
        return type(layer).from_config(layer.get_config())

    clone = keras.models.clone_model(model, clone_function=replaced)
    clone.set_weights(model.get_weights())
    return clone
