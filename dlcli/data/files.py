"""Opening the files that the user names: regular files only, with clear errors."""

import codecs
import functools
import hashlib
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BufferedReader
from pathlib import Path

from dlcli.errors import InputError

Progress = Callable[[int, int], None]  # done, total


class BadFile(Exception):
    """A file that cannot be opened; the message is the reason, to be written after "file: "."""


def open_file(path: Path) -> BufferedReader:
    """Opens a regular file for reading; a pipe or device, which could block, is refused.

    Raises:
        BadFile: the file does not exist or cannot be opened.
    """
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise BadFile("a folder, not a file")
        if not stat.S_ISREG(mode):
            raise BadFile("a pipe or device, not a file")
        return open(path, "rb")
    except FileNotFoundError:
        raise BadFile("a link to a file that does not exist" if os.path.islink(path) else "no such file") from None
    except PermissionError:
        raise BadFile("no permission to read it") from None
    except OSError as error:
        raise BadFile(f"cannot be opened ({error.strerror})") from None
    except ValueError:  # raised for a path with a null character
        raise BadFile("no such file: its name contains a null character") from None


def open_input(path: Path, remedy: str) -> BufferedReader:
    """Opens a file that a recipe or command names.

    Raises:
        InputError: it cannot be opened; the message ends with the remedy.
    """
    try:
        return open_file(path)
    except BadFile as reason:
        raise InputError(f"{path}: {reason}. {remedy}") from None


def read_text(
    path: Path, *, noun: str, max_bytes: int, remedy: str, encoding: str = "utf-8", other_encoding: str = ""
) -> str:
    """The text of a file that a recipe or command names.

    Args:
        noun: what the file should be, such as "table".
        remedy: what to do if it cannot be opened.
        other_encoding: an alternative to saving it in the encoding: ", or set data.encoding".

    Raises:
        InputError: it cannot be opened, is too large, or is not in the encoding.
    """
    with open_input(path, remedy) as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise InputError(f"{path}: a {noun} may have at most {max_bytes:,} bytes. Split it or give a smaller one.")
    return decoded(data, str(path), noun=noun, encoding=encoding, other_encoding=other_encoding)


def decoded(data: bytes, name: str, *, noun: str, encoding: str = "utf-8", other_encoding: str = "") -> str:
    """Decodes bytes to text, without a byte order mark.

    Args:
        name: of their source, for messages.

    Raises:
        InputError: they are not in the encoding.
    """
    if encoding == "utf-8":
        data = data.removeprefix(codecs.BOM_UTF8)  # the codec utf-8-sig would report positions without it
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        expected = encoding.upper()
        raise InputError(
            f"{name}:{line}: the {noun} must be {expected} text. Received byte 0x{data[error.start]:02x}: save it as "
            f"{expected}{other_encoding}."
        ) from None


@functools.cache
def workers() -> ThreadPoolExecutor:
    """The threads that decode images, one for each core available to this process."""
    return ThreadPoolExecutor(num_threads(), thread_name_prefix="images")


def num_threads() -> int:
    """The number of cores available to this process."""
    if hasattr(os, "sched_getaffinity"):  # Linux: without the cores that a container or taskset excludes
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def hash_content(data: bytes) -> str:
    """The first 16 hexadecimal digits of the SHA-256: enough to distinguish the samples of a data set."""
    return hashlib.sha256(data).hexdigest()[:16]


def list_folder(folder: Path) -> tuple[list[Path], list[Path]]:
    """The folders and the other entries directly in a folder, each sorted by name.

    Raises:
        InputError: it is not a folder or cannot be listed.
    """
    folders: list[Path] = []
    others: list[Path] = []
    try:
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                is_folder = os.path.isdir(entry) if entry.is_symlink() else entry.is_dir()
                (folders if is_folder else others).append(folder / entry.name)
    except FileNotFoundError:
        raise InputError(f"{folder}: no such folder. Give the folder that contains the data.") from None
    except NotADirectoryError:
        raise InputError(f"{folder}: must be a folder. Received a file: give the folder that contains it.") from None
    except OSError as error:
        raise InputError(f"{folder}: the folder cannot be listed ({error.strerror}). Fix its permissions.") from None
    return folders, others


def name_below(root: Path, path: Path) -> str:
    """The path relative to ``root`` with forward slashes, as one line of valid UTF-8 whatever bytes it consists of."""
    return printable(path.relative_to(root).as_posix())


def printable(text: str) -> str:
    """The text with unprintable and unencodable characters written as escapes."""
    text = text.encode("utf-8", "backslashreplace").decode()
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
