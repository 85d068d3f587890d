"""The place of a key or value, what is wrong with it, and the exception that reports all errors of a recipe at once."""

from collections.abc import Iterable
from dataclasses import dataclass

from dlcli.errors import InputError

MAX_SHOWN = 50  # lines of errors in one error
MAX_SHOWN_CHARACTERS = 60  # of a key or a value

KeyPath = tuple[str | int, ...]
"""The path from the top of a recipe to a value: keys of sections and indices of lists."""


@dataclass(frozen=True, order=True)
class Place:
    """A place in the recipe's file, or an option of the command line. Places sort in reading order."""

    order: int
    """0 for the file; 1, 2, … for the options, in the order given."""
    line: int
    """Line and column count from 1."""
    column: int
    source: str
    """The file's path as the user gave it, or the option, such as ``--set train.epochs=5``."""

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.order == 0 else self.source


@dataclass(frozen=True)
class Diagnostic:
    """One error in a recipe."""

    place: Place
    key: str
    """The dotted key; empty for an error in the YAML itself."""
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.key}: {self.message}" if self.key else f"{self.place}: {self.message}"


class RecipeError(InputError):
    """All errors of a recipe, in the order of their places."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(sorted(diagnostics, key=lambda diagnostic: diagnostic.place))
        lines = [str(diagnostic) for diagnostic in self.diagnostics[:MAX_SHOWN]]
        if len(self.diagnostics) > MAX_SHOWN:
            lines.append(f"{self.diagnostics[0].place.source}: … and {len(self.diagnostics) - MAX_SHOWN} more")
        super().__init__("\n".join(lines))


def dotted(path: KeyPath) -> str:
    """``("model", "blocks", 0)`` as ``model.blocks.0``, always on one line."""
    return ".".join(shortened(str(part)) for part in path)


def shortened(text: str) -> str:
    """The text on one line of bounded length, with escapes for unprintable characters."""
    printable = text if text.isprintable() else repr(text)[1:-1]
    return printable if len(printable) <= MAX_SHOWN_CHARACTERS else printable[: MAX_SHOWN_CHARACTERS - 1] + "…"
