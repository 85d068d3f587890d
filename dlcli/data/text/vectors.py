"""Word vectors in the text format of GloVe and word2vec: a word and its numbers on each line, separated by spaces."""

import gzip
import math
import zlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dlcli.errors import InputError
from dlcli.files import GZIP, BadFile, open_file

MAX_LINE = 2**20  # bytes
MAX_SIZE = 10_000  # numbers of a vector
EXAMPLE = 'a word and its numbers, as in "the 0.418 0.249 -0.412"'


def read_vectors(
    path: Path, tokens: Collection[str], *, num_others: int, is_token: Callable[[str], bool]
) -> tuple[dict[str, NDArray[np.float32]], int]:
    """The vectors of some words, and of others in the order of the file; only these are kept in memory.

    A first line with two whole numbers is word2vec's header: the number of words, and of numbers in a vector. A file
    may be compressed by gzip. Of a word that occurs twice, the first vector counts.

    Args:
        tokens: the words whose vectors are wanted.
        num_others: largest number of other words.
        is_token: whether a text can contain another word as a token.

    Returns:
        The vector of each word, float32 ``[size]``, and the size.

    Raises:
        InputError: the file cannot be read, or a line is not a word with as many finite numbers as the first one has.
    """
    found: dict[str, NDArray[np.float32]] = {}
    wanted, size = set(tokens), 0
    for number, line in _lines(path):
        text = line.decode("utf-8", "replace").rstrip().replace("\t", " ")  # a replaced word matches none
        cells = text.split(" ")
        if number == 1 and len(cells) == 2 and all(cell.isdecimal() for cell in cells):
            size = int(cells[1])
            continue
        if not text:
            continue
        size = size or len(cells) - 1
        if not 0 < size <= MAX_SIZE:
            raise InputError(f"{path}:{number}: a line must have {EXAMPLE}. Received {len(cells)} columns.")
        word, *numbers = text.rsplit(" ", size)  # words may contain spaces
        if len(numbers) != size or not word:
            raise InputError(
                f"{path}:{number}: a line must have a word and {size} numbers. Received {len(cells)} columns: the line "
                "may be truncated, or the file may not be word vectors in text format."
            )
        if word in found or (word not in wanted and (num_others == 0 or not is_token(word))):
            continue
        found[word] = _vector(numbers, path, number)
        num_others -= word not in wanted
    if not size:
        raise InputError(f"{path}: must have a word and its numbers on each line. Received an empty file.")
    return found, size


def _vector(numbers: list[str], path: Path, line: int) -> NDArray[np.float32]:
    try:
        values = [float(number) for number in numbers]
    except ValueError:
        values = [math.nan]
    if not all(map(math.isfinite, values)) or max(map(abs, values)) > float(np.finfo(np.float32).max):
        raise InputError(f"{path}:{line}: the numbers after the word must be finite numbers. Correct the line.")
    return np.array(values, np.float32)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The numbered lines of a file, which gzip may have compressed."""
    try:
        with open_file(path) as opened:
            is_compressed = opened.peek(len(GZIP))[: len(GZIP)] == GZIP
            file = gzip.GzipFile(fileobj=opened) if is_compressed else opened
            number = 0
            while line := file.readline(MAX_LINE + 1):
                number += 1
                if len(line) > MAX_LINE:
                    raise InputError(
                        f"{path}:{number}: a line must have {EXAMPLE}. Received more than {MAX_LINE} bytes."
                    )
                yield number, line
    except BadFile as reason:
        raise InputError(f"{path}: {reason}. Give a file of word vectors.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read, or is corrupt ({error}).") from None
