"""Text files: encodings, lines and size limits."""

from pathlib import Path

from dlcli.errors import InputError
from dlcli.files import decoded, read_text

MAX_BYTES = 2**30  # of a file of texts
SPACES = str.maketrans(dict.fromkeys("\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000", " "))
SPACES.update(dict.fromkeys(range(0x2000, 0x200C), " "))  # of several widths; the last, of none, separates words too
OTHER_ENCODING = ", or set data.encoding to its encoding"


def read_whole(path: Path, encoding: str) -> str:
    """The whole text of a file, with line feeds as line ends.

    Raises:
        InputError: it cannot be read, is not in the encoding, or contains only white space.
    """
    text = read_content(path, "text", encoding).replace("\r\n", "\n")
    if not text.strip():
        raise InputError(f"{path}: there must be text. Received an empty file.")
    return text


def read_content(path: Path, noun: str, encoding: str) -> str:
    """The text of a file; ``noun`` is its name in messages, such as "file of texts".

    Raises:
        InputError: it cannot be read, or is not text in the encoding.
    """
    remedy = "Give the file that contains the texts."
    text = read_text(
        path, noun=noun, max_bytes=MAX_BYTES, remedy=remedy, encoding=encoding, other_encoding=OTHER_ENCODING
    )
    return without_nulls(text, str(path), noun)


def lines_of(data: bytes, name: str, encoding: str) -> list[str]:
    """The lines of a stream of bytes, without line ends.

    Raises:
        InputError: they are not text in the encoding.
    """
    noun = "text"
    text = decoded(data, name, noun=noun, encoding=encoding, other_encoding=", the encoding of the training data")
    return split_lines(without_nulls(text, name, noun))


def lines_of_file(path: Path, encoding: str) -> list[str]:
    """The lines of a file, without line ends.

    Raises:
        InputError: it cannot be read, or is not text in the encoding.
    """
    return split_lines(read_content(path, "file of texts", encoding))


def split_lines(text: str) -> list[str]:
    """The lines of a text, without line ends; a line feed at its end starts no further line."""
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")] if text else []


def without_nulls(text: str, name: str, noun: str) -> str:
    """Returns the text.

    Raises:
        InputError: it contains a null character.
    """
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise InputError(f"{name}:{line}: the {noun} must be text. Received a null character: it may be UTF-16.")
    return text


def plain_spaces(text: str) -> str:
    """The text with each white space of Unicode beyond ASCII's, such as a no-break space, as a plain one.

    TensorFlow's operations on strings, which split the text into words within the model, know those of ASCII alone.
    """
    return text.translate(SPACES)
