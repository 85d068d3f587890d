"""The ``data`` sections of tasks that predict labels or a number of a text: a row or a JSON object for each text."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from dlcli.recipe.language.fields import Text
from dlcli.recipe.sections.table_data import Decimals, Headerless
from dlcli.recipe.sections.target_data import Names, rules_of_columns, rules_of_labels, rules_of_separator
from dlcli.recipe.sections.text_data import TextColumns


class LabelColumns(TextColumns):
    """The keys of texts with any number of labels each."""

    labels: Names | None = None
    """Names of the columns of the labels, which hold 1 where a label applies and 0 where it does not."""
    label: Text | None = None
    """Name of the column that lists the labels that apply; empty where none does. The labels are those of train."""
    on_missing: Literal["error", "skip", "unknown"] = "error"
    """What to do about a row without one of the values (empty, NA), where each label has a column: stop before training
    starts, leave the row out and count it, or leave the unknown value out of the loss and of the metrics."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        yield from rules_of_labels(self.labels, self.label, self.roles)


class TextLabelsCsv(Headerless, LabelColumns):
    """A CSV file with a row for each text; in a .tsv file columns are separated by tabs, and quotes have no meaning."""

    kind: Literal["csv"]
    """Source of the samples."""
    separator: Text | None = None
    """What separates the labels in the column `label`: `","`, `"|"`, `" "`."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        yield from rules_of_separator(self.label, self.separator)


class TextLabelsJsonl(LabelColumns):
    """A file with a JSON object on each line, whose keys are the columns; `label` is the key of a list of labels."""

    kind: Literal["jsonl"]
    """Source of the samples."""


class NumberColumns(TextColumns):
    """The keys of texts with a number each."""

    target: Text = "target"
    """Name of the column that holds the number to predict."""
    on_missing: Literal["error", "skip"] = "error"
    """What to do about a row without the number (empty, NA): stop before training starts, or leave it out and count
    it."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        for _, text in rules_of_columns("target", (self.target,), self.roles):
            yield "target", text


class TextNumbersCsv(Headerless, Decimals, NumberColumns):
    """A CSV file with a row for each text; in a .tsv file columns are separated by tabs, and quotes have no meaning."""

    kind: Literal["csv"]
    """Source of the samples."""


class TextNumbersJsonl(NumberColumns):
    """A file with a JSON object on each line, whose keys are the columns."""

    kind: Literal["jsonl"]
    """Source of the samples."""


LabelTexts = Annotated[TextLabelsCsv | TextLabelsJsonl, Field(discriminator="kind")]
NumberTexts = Annotated[TextNumbersCsv | TextNumbersJsonl, Field(discriminator="kind")]
