"""The recipe of ``task: step_prediction``: bits at every step, for problems that are made for the purpose."""

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
    """The keys of problems that are made anew in each epoch, by its number and the seed. Nothing is read."""

    lengths: tuple[Length, Length] = (1, 10)
    """Least and most bit vectors of a sequence; each batch has one length, drawn evenly."""
    bits: Annotated[int, Ge(1), Le(1000)] = 8
    """Of a vector."""
    num_samples: Annotated[int, Ge(1), Le(1_000_000)] = 32_000
    """Sequences of an epoch, new ones in each."""
    test_lengths: Annotated[tuple[Length, ...], Field(min_length=1)] | None = None
    """Lengths at which the test measures, 200 sequences each. Default: the most of training, and twice as many."""
    seed: Seed = 0
    """Of what is made."""

    @property
    def final_test_lengths(self) -> tuple[int, ...]:
        """Its default filled in."""
        return self.test_lengths or (self.lengths[1], 2 * self.lengths[1])

    def rules(self) -> Iterator[tuple[str, str]]:
        if self.lengths[0] > self.lengths[1]:
            yield "lengths", f"the first must be at most the second. Received {list(self.lengths)}."
        for i, length in enumerate(self.test_lengths or ()):
            if length in (self.test_lengths or ())[:i]:
                yield f"test_lengths.{i}", f"a length counts once. Received {length} twice."


class Copy(MadeSteps):
    """The copy task: random bit vectors, a mark, and then the same vectors (Graves et al. 2014, section 4.1)."""

    kind: Literal["copy"]
    """Source of the samples."""


class RepeatCopy(MadeSteps):
    """Random bit vectors, a number, and then the vectors as many times (Graves et al. 2014, section 4.2)."""

    kind: Literal["repeat_copy"]
    """Source of the samples."""
    repeats: tuple[Annotated[int, Ge(1), Le(100)], Annotated[int, Ge(1), Le(100)]] = (1, 5)
    """Least and most times; one number for each batch, drawn evenly."""
    test_repeats: Count | None = None
    """Times in the test. Default: the most of training."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        if self.repeats[0] > self.repeats[1]:
            yield "repeats", f"the first must be at most the second. Received {list(self.repeats)}."


Metric = Literal["train_loss", "train_bits_wrong", "train_exact", "val_loss", "val_bits_wrong", "val_exact"]
"""The columns of metrics.csv that can steer training."""


class StepPrediction(TaskRecipe):
    """Bits at each step that is asked for."""

    samples = "generated sequences of bits"
    verbs = frozenset(("train", "evaluate", "summary"))
    options = frozenset()
    instead = MappingProxyType(
        {
            "predict": "Use dlcli evaluate.",
            "--data": "Only the generated test samples are measured; leave it out.",
            "--split": "Only the generated test samples are measured; leave it out.",
        }
    )

    task: Literal["step_prediction"]
    """What is learned."""
    data: Annotated[Copy | RepeatCopy, Field(discriminator="kind")]
    """Where the samples come from."""
    model: AnyStepModel
    """The network."""
    train: CommonTrain[Metric] = CommonTrain[Metric]()
    """How it is trained."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from rules_of_steps(self.model)
