"""The ``data`` section of tasks whose samples are sequences of numbers, each with a class or a target value."""

from collections.abc import Iterator
from typing import Annotated, Literal

from annotated_types import Ge, Le
from pydantic import Field

from dlcli.recipe.language.fields import LocalPath, Seed, Text
from dlcli.recipe.sections.image_data import ClassifiedSource, DividedSource
from dlcli.recipe.sections.table_data import Decimals, Headerless, SplitFiles


class SequenceNpz(ClassifiedSource):
    """Arrays x_train [n, steps, features], y_train [n] and optionally lengths_train [n] in a NumPy .npz file; the same
    with _val and _test, which are optional."""

    kind: Literal["npz"]
    """Source of the samples."""
    path: LocalPath
    """The .npz file, relative to the recipe's folder."""


class SequenceTable(Headerless, Decimals, SplitFiles):
    """The keys of tables in long form."""

    path: LocalPath
    """The .csv file, or a folder with a file for each split, relative to the recipe's folder."""
    sequence: Text = "sequence"
    """Name of the column that identifies the sequence of a row."""
    time: Text | None = None
    """Name of a numeric column that must increase within a sequence. Default: rows are assumed to be in order."""
    features: Annotated[tuple[Text, ...], Field(min_length=1)] | None = None
    """Names of the columns that hold the features of a step. Default: all other columns."""
    split: Text | None = None
    """Name of a column that holds train, validation (or val) or test. Default: a random split."""
    group: Text | None = None
    """Name of a column whose equal values must stay in one split: the person, the machine, the day."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        others = {key: getattr(self, key, None) for key in ("label", "target", "sequence", "split", "group")}
        names = self.features or ()
        for i, name in enumerate(names):
            taken = next((key for key, other in others.items() if other == name), None)
            if taken is not None:
                yield f"features.{i}", f"is already the column of {taken}; name another column"
            elif name in names[:i]:
                yield f"features.{i}", f"each column can be named once. Received '{name}' twice."


class SequenceCsv(SequenceTable, ClassifiedSource):
    """A CSV file with a row for each step of each sequence."""

    kind: Literal["csv"]
    """Source of the samples."""
    label: Text = "label"
    """Name of the column that holds the sequence's class."""


class TsFiles(SplitFiles):
    """The keys of .ts files."""

    kind: Literal["ts"]
    """Source of the samples."""
    path: LocalPath
    """The .ts file of the training samples, or a folder with a file for each split such as GunPoint_TRAIN.ts, relative
    to the recipe's folder."""


class SequenceTs(TsFiles, ClassifiedSource):
    """The .ts format of the UCR and UEA archives: a line for each sequence, ending in its class."""


class RegressionTs(TsFiles):
    """The .ts format of the Monash, UEA and UCR archive: a line for each sequence, ending in its number."""


class RegressionCsv(SequenceTable):
    """A CSV file with a row for each step of each sequence."""

    kind: Literal["csv"]
    """Source of the samples."""
    target: Text = "target"
    """Name of the column that holds the target value of the sequence."""


class Adding(DividedSource):
    """The adding problem: the target of a sequence is the sum of its two marked numbers. The samples are generated; no
    file is read."""

    kind: Literal["adding"]
    """Source of the samples."""
    length: Annotated[int, Ge(2), Le(10_000)] = 100
    """Number of steps of a sequence."""
    num_samples: Annotated[int, Ge(1), Le(1_000_000)] = 10_000
    """Number of sequences to generate, over all splits."""
    seed: Seed = 0
    """Seed of the generated samples."""


ClassifiedSequences = Annotated[SequenceNpz | SequenceCsv | SequenceTs, Field(discriminator="kind")]
MeasuredSequences = Annotated[Adding | SequenceNpz | RegressionCsv | RegressionTs, Field(discriminator="kind")]
