"""Keys of sources that may have a file for each split, and of tables that may lack a header."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from dlcli.recipe.language.fields import LocalPath, Section, Text
from dlcli.recipe.sections.image_data import DividedSource


class SplitFiles(DividedSource):
    """The keys of sources with a file for each split."""

    validation_path: LocalPath | None = None
    """A file for validation. Default: a random split, unless `path` is a folder with a file for each split."""
    test_path: LocalPath | None = None
    """A file for the test. Default: a random split, unless `path` is a folder with a file for each split."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        if getattr(self, "split", None) is not None:
            for key in ("validation_path", "test_path"):
                if getattr(self, key) is not None:
                    yield key, "cannot be combined with a column of splits; remove it, or split"


class Headerless(Section):
    """The key of tables without a header."""

    columns: Annotated[tuple[Text, ...], Field(min_length=1)] | None = None
    """Names of all columns of a table without a header, in order: `[label, title, text]`. Default: its first row has
    them."""

    def rules(self) -> Iterator[tuple[str, str]]:
        yield from super().rules()
        names = self.columns or ()
        for i, name in enumerate(names):
            if name in names[:i]:
                yield f"columns.{i}", f"each column must have its own name. Received '{name}' twice."
        if not names:
            return
        for key in ("sequence", "time", "text", "source", "label", "target", "split", "group", "series"):
            named = getattr(self, key, None) or ()
            for name in (named,) if isinstance(named, str) else named:
                if name not in names:
                    yield "columns", f"must name the column of {key}, '{name}'. Received {', '.join(names)}."
        for key in ("features", "future_features", "static"):
            for i, name in enumerate(getattr(self, key, None) or ()):
                if name not in names:
                    yield f"{key}.{i}", f"must be one of the columns. Received '{name}'."


class Decimals(Section):
    """The key of tables of numbers."""

    decimal: Literal["point", "comma"] | None = None
    """The decimal mark of numbers: point (1,234.5) or comma (1.234,5). Groups of three digits may be separated by the
    other mark, a space or an apostrophe. Default: a point, without groups."""
