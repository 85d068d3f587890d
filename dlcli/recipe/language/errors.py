"""Where a key or value was written, what is wrong with it, and the error that tells the user all of it at once."""

from collections.abc import Iterable
from dataclasses import dataclass

from dlcli.errors import InputError

MAX_SHOWN = 50  # lines of errors in one error
MAX_SHOWN_CHARACTERS = 60  # of a key or a value

KeyPath = tuple[str | int, ...]
"""The way from the top of a recipe to a value: keys of sections and indices of lists."""


@dataclass(frozen=True, order=True)
class Place:
    """A place in the recipe's file, or an option of the command line. Places sort in the order of reading."""

    order: int
    """0 for the file; 1, 2, … for the options, as they were given."""
    line: int
    """Line and column count from 1."""
    column: int
    source: str
    """The file's path as the user gave it, or the option, such as ``--set train.epochs=5``."""

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.order == 0 else self.source


@dataclass(frozen=True)
class Diagnostic:
    """One thing that is wrong in a recipe."""

    place: Place
    key: str
    """The dotted key; empty where the YAML itself is at error."""
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.key}: {self.message}" if self.key else f"{self.place}: {self.message}"


class RecipeError(InputError):
    """All the errors of one recipe, in the order in which they stand in it."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(sorted(diagnostics, key=lambda diagnostic: diagnostic.place))
        lines = [str(diagnostic) for diagnostic in self.diagnostics[:MAX_SHOWN]]
        if len(self.diagnostics) > MAX_SHOWN:
            lines.append(f"{self.diagnostics[0].place.source}: … and {len(self.diagnostics) - MAX_SHOWN} more")
        super().__init__("\n".join(lines))


def dotted(path: KeyPath) -> str:
    """``("model", "blocks", 0)`` as ``model.blocks.0``, on one line whatever the keys contain."""
    return ".".join(shortened(str(part)) for part in path)


def shortened(text: str) -> str:
    """The text on one line of bounded length, unprintable characters written as escapes."""
    printable = text if text.isprintable() else repr(text)[1:-1]
    return printable if len(printable) <= MAX_SHOWN_CHARACTERS else printable[: MAX_SHOWN_CHARACTERS - 1] + "…"
