"""The copy tasks of Graves et al. 2014, sections 4.1 and 4.2: bit vectors to reproduce, generated for each epoch."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.data.splits import SPLIT_COLUMNS, DataWarning, LeftOut

NUM_VALIDATION = 500
NUM_TEST = 200  # at each length
TRAIN, VALIDATION, TEST = 0, 1, 2

Array = NDArray[np.float32]


@dataclass(frozen=True)
class CopyTask:
    """The parameters of the sequences.

    Attributes:
        lengths: the smallest and largest number of vectors.
        bits: of a vector.
        repeats: the smallest and largest number of repetitions; None for the copy task, which has one.
        seed: of the sequences.
    """

    lengths: tuple[int, int]
    bits: int
    repeats: tuple[int, int] | None
    seed: int

    @property
    def num_features(self) -> int:
        """Of a step: the bits, and a channel for the mark or the number of repetitions."""
        return self.bits + 1

    def make(self, num: int, length: int, times: int, generator: np.random.Generator) -> tuple[Array, Array, Array]:
        """Generates sequences of one length.

        Args:
            times: how often the vectors are repeated.

        Returns:
            The inputs ``[num, steps, bits + 1]``: the vectors, a step with a mark in the last channel (for the repeat
            copy task, the number of repetitions divided by the largest), and zeros during the output. The target bits
            ``[num, steps, bits]``, and the mask of the output's steps, ``[num, steps]``.
        """
        vectors = generator.integers(0, 2, (num, length, self.bits)).astype(np.float32)
        steps = length + 1 + times * length
        x = np.zeros((num, steps, self.num_features), np.float32)
        x[:, :length, : self.bits] = vectors
        x[:, length, self.bits] = 1.0 if self.repeats is None else times / self.repeats[1]
        bits = np.zeros((num, steps, self.bits), np.float32)
        bits[:, length + 1 :] = np.tile(vectors, (1, times, 1))
        asked = np.zeros((num, steps), np.float32)
        asked[:, length + 1 :] = 1.0
        return x, bits, asked


class MadeBatches:
    """Batches generated for each epoch, each with sequences of one length, as a function of (seed, epoch, step) alone.

    Args:
        task: the parameters of the sequences.
        part: TRAIN, whose epochs differ, or VALIDATION.
        num_samples: sequences in an epoch.
        batch_size: sequences in a batch.
    """

    def __init__(self, task: CopyTask, *, part: int, num_samples: int, batch_size: int) -> None:
        self.num_samples = num_samples
        self.batch_size = batch_size
        self.num_steps = -(-num_samples // batch_size)
        self._task = task
        self._part = part

    @property
    def mixes(self) -> bool:
        """Whether the samples of a batch depend on each other."""
        return False

    def make(self, epoch: int, step: int) -> tuple[Array, Array, Array]:
        """The batch of a step of an epoch."""
        task = self._task
        generator = np.random.Generator(
            np.random.PCG64([task.seed, self._part, epoch if self._part == TRAIN else 0, step])
        )
        length = int(generator.integers(task.lengths[0], task.lengths[1] + 1))
        times = 1 if task.repeats is None else int(generator.integers(task.repeats[0], task.repeats[1] + 1))
        num = min(self.batch_size, self.num_samples - step * self.batch_size)
        return task.make(num, length, times, generator)

    def source(self, epoch: int, first_step: int = 0) -> Any:
        """The source of :meth:`element` for an epoch."""
        return {"epoch": tf.constant(epoch, tf.int64)}

    def element(self, source: Any, step: Any) -> dict[str, Any]:
        """Traced: the batch of a step, generated with NumPy."""

        def make(epoch: Any, step: Any) -> tuple[Array, Array, Array]:
            return self.make(int(epoch), int(step))

        x, bits, asked = tf.numpy_function(make, [source["epoch"], step], [tf.float32] * 3, stateful=False)
        # loops over the steps keep fewer tensors for the gradient where the batch size is a constant
        size = None if self.num_samples % self.batch_size else self.batch_size
        x.set_shape([size, None, self._task.num_features])
        bits.set_shape([size, None, self._task.bits])
        asked.set_shape([size, None])
        return {"x": x, "bits": bits, "asked": asked}

    def assemble(self, element: dict[str, Any]) -> dict[str, Any]:
        """Traced: ``{x: [b, steps, bits + 1], y: {bits: [b, steps, bits], asked: [b, steps]}, weight: [b]}``."""
        weight = tf.ones(tf.shape(element["x"])[0], tf.float32)
        return {"x": element["x"], "y": {"bits": element["bits"], "asked": element["asked"]}, "weight": weight}


@dataclass(frozen=True)
class Made:
    """A split whose sequences are generated when they are needed."""

    number: int

    def __len__(self) -> int:
        return self.number


@dataclass(frozen=True)
class MadeDataset:
    """The data set of a task whose samples are generated."""

    task: CopyTask
    splits: dict[str, Made]
    test: tuple[tuple[int, int], ...]
    """Length and number of repetitions of each part of the test split."""
    left_out: tuple[LeftOut, ...] = ()
    warnings: tuple[DataWarning, ...] = ()

    def fingerprint(self) -> str:
        """SHA-256 over the parameters of the samples."""
        return hashlib.sha256(json.dumps(self._parameters()).encode()).hexdigest()

    def split_rows(self) -> list[dict[str, str]]:
        """A row for each split, because there are no samples to name."""
        digest = self.fingerprint()[:16]
        return [
            dict(zip(SPLIT_COLUMNS, (f"made/{split}", split, f"{len(part)} sequences", "", digest), strict=True))
            for split, part in self.splits.items()
        ]

    def _parameters(self) -> list[Any]:
        task = self.task
        sizes = {split: len(part) for split, part in self.splits.items()}
        return [task.lengths, task.bits, task.repeats, task.seed, sizes, self.test]

    def test_part(self, length: int, times: int) -> tuple[Array, Array, Array]:
        """The test sequences of one length and number of repetitions."""
        generator = np.random.Generator(np.random.PCG64([self.task.seed, TEST, length, times]))
        return self.task.make(NUM_TEST, length, times, generator)
