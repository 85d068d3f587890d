"""The memory needed to train a network: weights, gradients, optimizer, activations."""

from dataclasses import asdict, dataclass

from dlcli.report.cost.layer_table import BYTES_PER_NUMBER, LayerTable


@dataclass(frozen=True)
class TrainingMemory:
    """A lower bound on the bytes that training needs at the same time.

    It does not include the gradients of activations, the workspace of libraries, or data.
    """

    weights: int
    gradients: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        return self.weights + self.gradients + self.optimizer + self.activations

    def as_dict(self) -> dict[str, int]:
        """Plain values for JSON."""
        return {**asdict(self), "total": self.total}


def training_memory(
    table: LayerTable, *, batch_size: int, slots_per_weight: int, bytes_per_activation: int
) -> TrainingMemory:
    """The memory of training a model.

    Args:
        table: the model's layer table.
        batch_size: number of samples that are computed at once.
        slots_per_weight: number of values that the optimizer keeps per trainable weight: 0 for plain gradient descent,
            1 with momentum, 2 for Adam; one more for a moving average of the weights.
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
