"""Opening what the user names: regular files only, and the reason in plain words where that fails."""

import os
import stat
from io import BufferedReader
from pathlib import Path

from dlcli.errors import InputError


class BadFile(Exception):
    """A file that cannot be opened; the message is the reason, in words that follow "file: "."""


def open_file(path: Path) -> BufferedReader:
    """Opens a regular file for reading; a pipe or device is refused before it could block.

    Raises:
        BadFile: there is no such file, or it cannot be opened.
    """
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise BadFile("a folder, not a file")
        if not stat.S_ISREG(mode):
            raise BadFile("a pipe or device, not a file")
        return open(path, "rb")
    except FileNotFoundError:
        raise BadFile("a link to a file that is not there" if os.path.islink(path) else "no such file") from None
    except PermissionError:
        raise BadFile("no permission to read it") from None
    except OSError as error:
        raise BadFile(f"cannot be opened ({error.strerror})") from None
    except ValueError:  # what a path with a null character raises
        raise BadFile("no such file: its name holds a null character") from None


def open_input(path: Path, remedy: str) -> BufferedReader:
    """Opens a file that a recipe or command names.

    Raises:
        InputError: it cannot be opened; the message ends in the remedy.
    """
    try:
        return open_file(path)
    except BadFile as reason:
        raise InputError(f"{path}: {reason}. {remedy}") from None


def read_text(
    path: Path, *, noun: str, max_bytes: int, remedy: str, encoding: str = "utf-8", other_encoding: str = ""
) -> str:
    """The text of a file that a recipe or command names; ``noun`` is what the file is to be, such as "table".

    Args:
        remedy: what to do where it cannot be opened.
        other_encoding: what to do besides saving it in the encoding: ", or set data.encoding".

    Raises:
        InputError: it cannot be opened, or it is too large or not in the encoding.
    """
    with open_input(path, remedy) as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise InputError(f"{path}: a {noun} may have at most {max_bytes:,} bytes. Divide it or give a smaller one.")
    return decoded(data, str(path), noun=noun, encoding=encoding, other_encoding=other_encoding)


def decoded(data: bytes, name: str, *, noun: str, encoding: str = "utf-8", other_encoding: str = "") -> str:
    """The text that bytes stand for, without a mark of their order.

    Args:
        name: of where they come from.

    Raises:
        InputError: they are not in the encoding.
    """
    try:
        return data.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        wanted = encoding.upper()
        raise InputError(
            f"{name}:{line}: the {noun} must be {wanted} text. Received byte 0x{data[error.start]:02x}: save it as "
            f"{wanted}{other_encoding}."
        ) from None
