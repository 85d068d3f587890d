"""What every reader of foreign files makes of them: the bytes of an image, and its class."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from dlcli.data.files import printable
from dlcli.data.images.shard_writer import Place
from dlcli.data.listing import name_error, name_some
from dlcli.errors import InputError
from dlcli.files import read_text

MAX_BYTES = 2**24  # of a file of names
RELABEL = "Correct it, or give only the files whose images have labels."


class ForeignImage(NamedTuple):
    """An image file within a file of another program.

    Attributes:
        name: of the sample: the file, the row and, if it has one, the image's own name.
        place: for messages.
        data: the bytes of the image file.
        number: of the class, in the files; None if they name it.
        label: the name of the class.
        stored: where the bytes are, in a tar file that is not compressed.
    """

    name: str
    place: str
    data: bytes
    number: int | None
    label: str
    stored: Place | None = None


class Reader(Protocol):
    """Reads the images of files of one format."""

    def count(self, file: Path) -> int:
        """The number of images in a file.

        Raises:
            InputError: the file is corrupt, or not of the format.
        """
        ...

    def read(self, file: Path, name: str) -> Iterator[ForeignImage]:
        """The images of a file, in its order.

        Args:
            name: of the file in the samples' names.

        Raises:
            InputError: the file is corrupt, or lacks an image or a label.
        """
        ...


class BadLabel(Exception):
    """A label that is none; the message is the rest of a line."""


def read_names(file: Path) -> tuple[str, ...]:
    """The names of classes, one on each line of a text file; lines such as ``1:cat`` give the number too.

    Raises:
        InputError: the file cannot be read, has no name or a name twice, or the numbers are not those from 0 or 1.
    """
    text = read_text(
        file, noun="list of names", max_bytes=MAX_BYTES, remedy="Give a text file with a name on each line."
    )
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    numbered = [line.partition(":") for line in lines]
    if lines and all(colon and number.strip().isdecimal() for number, colon, _ in numbered):
        by_number = {int(number): name.strip() for number, _, name in numbered}
        first = min(by_number)
        if len(by_number) < len(lines) or first > 1 or max(by_number) - first + 1 != len(lines):
            raise InputError(f"{file}: the numbers of the names must be those from 0 or from 1, each once.")
        lines = [*[""] * first, *(by_number[number] for number in sorted(by_number))]
    check_class_names(lines, str(file))
    return tuple(lines)


def check_class_names(names: Sequence[str], place: str) -> None:
    """Refuses names of classes that cannot be distinguished or written; an empty one is that of no class.

    Raises:
        InputError: there is one, or there are no names.
    """
    given = [name for name in names if name]
    if not given:
        raise InputError(f"{place}: there must be names of classes. Received none.")
    repeated = sorted({name for name in given if given.count(name) > 1}) if len(set(given)) < len(given) else []
    if repeated:
        raise InputError(
            f"{place}: the names of classes must differ. Received {name_some(list(map(printable, repeated)))} twice."
        )
    for name in given:
        if error := name_error(name):
            raise InputError(f"{place}: {error}")


def class_of(value: Any, names: Sequence[str] | None) -> tuple[int | None, str]:
    """The number and the name of the class that a label stands for; a number is its own name if there are no names.

    Args:
        value: int, str, or bytes of UTF-8; None if there is none.
        names: of the classes, by their numbers.

    Raises:
        BadLabel: there is none, or it is none of these.
    """
    match value:
        case bool() | None:
            raise BadLabel(
                "has no label" if value is None else f"its label must be a number or a name. Received {value}"
            )
        case int():
            return value, _name_of(value, names)
        case bytes():
            try:
                value = value.decode()
            except UnicodeDecodeError:
                raise BadLabel("its label must be UTF-8 text") from None
        case str():
            pass
        case list() | tuple():
            raise BadLabel(f"its label must be one class. Received a list of {len(value)}")
        case _:
            raise BadLabel(f"its label must be a whole number or a name. Received a {type(value).__name__}")
    label = value.strip()
    if not label:
        raise BadLabel("has no label: it is empty")
    if error := name_error(label):
        raise BadLabel(error.rstrip("."))
    if names is None:
        return None, label
    if label not in names:
        raise BadLabel(
            f"its label must be one of the {len(names)} names of classes. Received '{printable(label)[:60]}'"
        )
    return names.index(label), label


def _name_of(number: int, names: Sequence[str] | None) -> str:
    if number < 0:
        raise BadLabel(f"has no label: its number must be at least 0. Received {number}")
    if names is None:
        return str(number)
    if number >= len(names) or not names[number]:
        first = next(position for position, name in enumerate(names) if name)
        raise BadLabel(
            f"its label must be a number from {first} to {len(names) - 1}, those of the names. Received {number}"
        )
    return names[number]
