"""The recipe of ``task: step_prediction``: bits at every step, for synthetic problems."""

from collections.abc import Iterator
from types import MappingProxyType
from typing import Annotated, Literal

from annotated_types import Ge, Le
from pydantic import Field

from dlcli.recipe.language.fields import Count, Section, Seed
from dlcli.recipe.sections.sequence_model import AnyStepModel, rules_of_steps
from dlcli.recipe.sections.train import CommonTrain
from dlcli.recipe.tasks.base import TaskRecipe

Length = Annotated[int, Ge(1), Le(1000)]


class MadeSteps(Section):
    """The keys of synthetic problems. New samples are generated in each epoch from its number and the seed; no file is
    read."""

    lengths: tuple[Length, Length] = (1, 10)
    """Minimum and maximum number of bit vectors in a sequence; each batch has one length, drawn uniformly."""
    bits: Annotated[int, Ge(1), Le(1000)] = 8
    """Bits in a vector."""
    num_samples: Annotated[int, Ge(1), Le(1_000_000)] = 32_000
    """Number of sequences in an epoch."""
    test_lengths: Annotated[tuple[Length, ...], Field(min_length=1)] | None = None
    """Lengths to test on, with 200 sequences each. Default: the maximum length of training, and twice that."""
    seed: Seed = 0
    """Seed of the generated samples."""

    @property
    def final_test_lengths(self) -> tuple[int, ...]:
        """The value, or its default."""
        return self.test_lengths or (self.lengths[1], 2 * self.lengths[1])

    def rules(self) -> Iterator[tuple[str, str]]:
        if self.lengths[0] > self.lengths[1]:
            yield "lengths", f"the first must be at most the second. Received {list(self.lengths)}."
        for i, length in enumerate(self.test_lengths or ()):
            if length in (self.test_lengths or ())[:i]:
                yield f"test_lengths.{i}", f"each length can be named once. Received {length} twice."


class Copy(MadeSteps):
    """The copy task: random bit vectors and a delimiter, then the same vectors (Graves et al. 2014, section 4.1)."""

    kind: Literal["copy"]
    """Source of the samples."""


class RepeatCopy(MadeSteps):
    """The repeat copy task: random bit vectors and a number, then the vectors that many times (Graves et al. 2014,
    section 4.2)."""

    kind: Literal["repeat_copy"]
    """Source of the samples."""
    repeats: tuple[Annotated[int, Ge(1), Le(100)], Annotated[int, Ge(1), Le(100)]] = (1, 5)
    """Minimum and maximum number of repeats; each batch has one number, drawn uniformly."""
    test_repeats: Count | None = None
    """Number of repeats in the test. Default: the maximum of training."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        if self.repeats[0] > self.repeats[1]:
            yield "repeats", f"the first must be at most the second. Received {list(self.repeats)}."


Metric = Literal["train_loss", "train_bits_wrong", "train_exact", "val_loss", "val_bits_wrong", "val_exact"]
"""The columns of metrics.csv that can steer training."""


class StepPrediction(TaskRecipe):
    """Bits at each step of the output phase."""

    samples = "generated sequences of bits"
    verbs = frozenset(("train", "evaluate", "explain", "export", "summary"))
    options = frozenset()
    explanation_options = frozenset(
        (
            "--gates",
            "--gradient-norms",
        )
    )
    explanation_methods = ()
    headline = "bits_wrong"
    instead = MappingProxyType(
        {
            "predict": "Use dlcli evaluate.",
            "explain --check": "What is written and read is shown as it is, by no method. Remove the option.",
            "--data": "It is always evaluated on the generated test samples. Remove the option.",
            "--split": "It is always evaluated on the generated test samples. Remove the option.",
        }
    )

    task: Literal["step_prediction"]
    """The task, which selects the schema of the recipe."""
    data: Annotated[Copy | RepeatCopy, Field(discriminator="kind")]
    """Source of the samples, and how they are split."""
    model: AnyStepModel
    """The network."""
    train: CommonTrain[Metric] = CommonTrain[Metric]()
    """Length of training, optimizer, schedule, and which model is kept."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from rules_of_steps(self.model)
