"""Opening and replacing files that are named from outside: by a user, a recipe, a table or a stranger's run.

Only regular files are opened, and what is read at once has a bound: a pipe would block forever, a device may have no
end.
"""

import codecs
import gzip
import os
import re
import stat
import zlib
from io import BufferedReader
from pathlib import Path

from dlcli.errors import InputError

BOMS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # byte order marks
GZIP = b"\x1f\x8b\x08"  # the first bytes of a file that gzip has compressed (RFC 1952)


URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)  # RFC 3986, section 3.1


class BadFile(Exception):
    """A file that cannot be opened or is too large; the message is the reason, to be written after "file: "."""


class NoFile(BadFile):
    """A file that does not exist."""


def open_file(path: str | os.PathLike[str]) -> BufferedReader:
    """Opens a regular file for reading; a pipe or device is refused without being opened.

    Raises:
        BadFile: the file does not exist or cannot be opened.
    """
    try:
        _check_kind(os.stat(path))
        file = open(path, "rb", opener=_open_without_waiting)  # noqa: SIM115 - returned open
    except FileNotFoundError:
        raise NoFile("a link to a file that does not exist" if os.path.islink(path) else "no such file") from None
    except PermissionError:
        raise BadFile("no permission to read it") from None
    except OSError as error:
        raise BadFile(f"cannot be opened ({error.strerror})") from None
    except ValueError:  # raised for a path with a null character
        raise NoFile("no such file: its name contains a null character") from None
    try:
        _check_kind(os.fstat(file.fileno()))  # it may have been exchanged since
    except BadFile:
        file.close()
        raise
    return file


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a pipe that took the place of the file would block without it


def _check_kind(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise BadFile("a folder, not a file")
    if not stat.S_ISREG(status.st_mode):
        raise BadFile("a pipe or device, not a file")


def is_url(text: str) -> bool:
    """Whether a text is a URL, such as ``s3://bucket/folder``, and not a path."""
    return URL.match(text) is not None


def absolute(text: str) -> str:
    """A path on the command line as an absolute one; a URL as it is."""
    return text if is_url(text) else str(Path(text).expanduser().absolute())


def read_file(path: str | Path, max_bytes: int) -> bytes:
    """The content of a regular file.

    Raises:
        BadFile: it does not exist, cannot be read or has more than ``max_bytes``.
    """
    with open_file(path) as file:
        try:
            if os.fstat(file.fileno()).st_size <= max_bytes:
                data = file.read(max_bytes + 1)  # the files of /proc have more than their size says
                if len(data) <= max_bytes:
                    return data
        except OSError as error:
            raise BadFile(f"cannot be read ({error.strerror})") from None
    raise BadFile(f"larger than {max_bytes:,} bytes")


def open_input(path: Path, remedy: str) -> BufferedReader:
    """Opens a file that a recipe or command names.

    Raises:
        InputError: it cannot be opened; the message ends with the remedy.
    """
    try:
        return open_file(path)
    except BadFile as reason:
        raise InputError(f"{path}: {reason}. {remedy}") from None


def suffix_of(path: Path) -> str:
    """The suffix of a file's name, in lowercase; that before ``.gz`` for a file that gzip has compressed."""
    inner = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return inner.suffix.lower() or path.suffix.lower()


def read_start(path: Path, max_bytes: int, remedy: str) -> bytes:
    """The first bytes of a file that a recipe or command names; of what gzip has compressed if it has.

    Args:
        max_bytes: that are read at most.
        remedy: what to do if it cannot be opened.

    Raises:
        InputError: it cannot be opened, or what gzip has compressed is corrupt or truncated.
    """
    with open_input(path, remedy) as file:
        data = file.read(max_bytes)
        if not data.startswith(GZIP):
            return data
        file.seek(0)
        try:
            with gzip.open(file) as unzipped:
                return unzipped.read(max_bytes)
        except (OSError, EOFError, zlib.error):
            message = f"{path}: its gzip data is corrupt or truncated. Download or compress it again."
            raise InputError(message) from None


def read_text(
    path: Path, *, noun: str, max_bytes: int, remedy: str, encoding: str = "utf-8", other_encoding: str = ""
) -> str:
    """The text of a file that a recipe or command names, which may be compressed by gzip.

    Args:
        noun: what the file should be, such as "table".
        remedy: what to do if it cannot be opened.
        other_encoding: an alternative to saving it in the encoding: ", or set data.encoding".

    Raises:
        InputError: it cannot be opened, is too large, or is not in the encoding.
    """
    data = read_limited(path, noun=noun, max_bytes=max_bytes, remedy=remedy)
    return decoded(data, str(path), noun=noun, encoding=encoding, other_encoding=other_encoding)


def read_limited(path: Path, *, noun: str, max_bytes: int, remedy: str) -> bytes:
    """The bytes of a file that a recipe or command names, which may be compressed by gzip.

    Args:
        noun, remedy: as for :func:`read_text`.

    Raises:
        InputError: it cannot be opened or is too large.
    """
    data = read_start(path, max_bytes + 1, remedy)
    if len(data) > max_bytes:
        raise InputError(f"{path}: a {noun} may have at most {max_bytes:,} bytes. Split it or give a smaller one.")
    return data


def decoded(data: bytes, name: str, *, noun: str, encoding: str = "utf-8", other_encoding: str = "") -> str:
    """Decodes bytes to text, without a byte order mark; one of UTF-16 takes the place of UTF-8.

    Args:
        name: of their source, for messages.

    Raises:
        InputError: they are not in the encoding.
    """
    if encoding == "utf-8" and data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
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


def check_replaceable(path: Path) -> None:
    """Refuses to replace what is not a file: a link, a pipe or a device such as /dev/null.

    Raises:
        InputError: it is one of these.
    """
    try:
        mode = os.lstat(path).st_mode
    except (OSError, ValueError):
        return  # writing it reports what is wrong
    if stat.S_ISLNK(mode):
        raise InputError(f"{path}: is a link, which would be replaced. Give the path of the file itself.")
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise InputError(f"{path}: is a pipe or device, which would be replaced by a file. Give another path.")


def half_of_memory() -> int:
    """Half of the machine's memory, in bytes: the largest size of arrays that are held at once."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
