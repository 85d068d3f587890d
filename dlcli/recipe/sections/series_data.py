"""The ``data`` section of tasks whose samples are sequences of numbers, with a class or a number each."""

from collections.abc import Iterator
from typing import Annotated, Literal

from annotated_types import Ge, Le
from pydantic import Field

from dlcli.recipe.language.fields import LocalPath, Seed, Text
from dlcli.recipe.sections.image_data import DividedSource


class SequenceNpz(DividedSource):
    """Arrays x_train [n, steps, features], y_train [n] and, where wanted, lengths_train [n] from a NumPy .npz file; the
    same with _val and _test where there are."""

    kind: Literal["npz"]
    """Source of the samples."""
    path: LocalPath
    """The .npz file, relative to the recipe's folder."""


class SequenceTable(DividedSource):
    """The keys of tables in long form."""

    path: LocalPath
    """The .csv file, relative to the recipe's folder."""
    sequence: Text = "sequence"
    """Name of the column that says which sequence a row is a step of."""
    time: Text | None = None
    """Name of a column of numbers that must rise within a sequence. Default: rows are taken to be in order."""
    features: Annotated[tuple[Text, ...], Field(min_length=1)] | None = None
    """Names of the columns that hold the numbers of a step. Default: all other columns."""
    split: Text | None = None
    """Name of a column that holds train, validation (or val) or test. Default: the split is drawn."""
    group: Text | None = None
    """Name of a column whose equal values must stay in one split: the person, the machine, the day."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        others = {key: getattr(self, key, None) for key in ("label", "target", "sequence", "split", "group")}
        names = self.features or ()
        for i, name in enumerate(names):
            taken = next((key for key, other in others.items() if other == name), None)
            if taken is not None:
                yield f"features.{i}", f"is the column of {taken} too; name another"
            elif name in names[:i]:
                yield f"features.{i}", f"a column counts once. Received '{name}' twice."


class SequenceCsv(SequenceTable):
    """A CSV file with a row for each step of each sequence."""

    kind: Literal["csv"]
    """Source of the samples."""
    label: Text = "label"
    """Name of the column that holds the sequence's class."""


class SequenceTs(DividedSource):
    """The .ts format of the UCR and UEA archives: a line for each sequence."""

    kind: Literal["ts"]
    """Source of the samples."""
    path: LocalPath
    """The .ts file of the training samples, relative to the recipe's folder."""
    validation_path: LocalPath | None = None
    """A .ts file for validation. Default: the split is drawn."""
    test_path: LocalPath | None = None
    """A .ts file for the test. Default: the split is drawn."""


class RegressionCsv(SequenceTable):
    """A CSV file with a row for each step of each sequence."""

    kind: Literal["csv"]
    """Source of the samples."""
    target: Text = "target"
    """Name of the column that holds the number to predict for the sequence."""


class Adding(DividedSource):
    """The adding problem: sequences of numbers of which two are marked; the answer is their sum. Nothing is read."""

    kind: Literal["adding"]
    """Source of the samples."""
    length: Annotated[int, Ge(2), Le(10_000)] = 100
    """Steps of a sequence."""
    num_samples: Annotated[int, Ge(1), Le(1_000_000)] = 10_000
    """Sequences that are made, for all splits together."""
    seed: Seed = 0
    """Of what is made."""


ClassifiedSequences = Annotated[SequenceNpz | SequenceCsv | SequenceTs, Field(discriminator="kind")]
MeasuredSequences = Annotated[Adding | SequenceNpz | RegressionCsv, Field(discriminator="kind")]
