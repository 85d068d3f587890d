"""The memory that training a network takes: weights, gradients, optimizer, activations."""

from dataclasses import asdict, dataclass

from dlcli.report.cost.layer_table import BYTES_PER_NUMBER, LayerTable


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes that training holds at the same time, at least.

    The gradients of the activations, the library's work space and the data are not in it.
    """

    weights: int
    gradients: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        return self.weights + self.gradients + self.optimizer + self.activations

    def as_dict(self) -> dict[str, int]:
        """All of it in plain values, for JSON."""
        return {**asdict(self), "total": self.total}


def training_memory(
    table: LayerTable, *, batch_size: int, slots_per_weight: int, bytes_per_activation: int
) -> TrainingMemory:
    """The memory of training a model.

    Args:
        table: the model's.
        batch_size: samples that are computed at once.
        slots_per_weight: numbers that the optimizer holds for each trainable weight: 0 for plain gradient descent, 1
            with momentum, 2 for Adam; one more for a moving average of the weights.
        bytes_per_activation: 4 in float32, 2 in mixed precision.
    """
    return TrainingMemory(
        weights=table.parameters * BYTES_PER_NUMBER,
        gradients=table.trainable * BYTES_PER_NUMBER,
        optimizer=table.trainable * slots_per_weight * BYTES_PER_NUMBER,
        activations=table.kept_activations * batch_size * bytes_per_activation,
    )


def memory_text(memory: TrainingMemory, batch_size: int) -> str:
    """One line, such as ``Memory to train with batches of 128: at least 41.3 MiB (weights 3.1, …)``."""
    parts = ", ".join(f"{name} {number / 2**20:,.1f}" for name, number in asdict(memory).items())
    return f"Memory to train with batches of {batch_size}: at least {memory.total / 2**20:,.1f} MiB ({parts})"
