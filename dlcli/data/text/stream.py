"""The lines of a stream as they arrive, such as those that another program writes to a pipe."""

import codecs
import queue
import threading
from collections.abc import Iterator
from typing import BinaryIO

from dlcli.errors import InputError

UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
CHUNK = 2**16  # bytes that are read at most at once
MAX_LINE = 2**22  # characters
MAX_WAITING = 64  # lines that are read ahead: memory stays bounded however fast they come


def arriving_lines(stream: BinaryIO, name: str, encoding: str, *, at_most: int) -> Iterator[list[str]]:
    """The lines of a stream, as soon as they are complete: those that have arrived, one or more at a time.

    Another thread reads them, so that Ctrl-C is handled while none comes.

    Args:
        stream: whose raw stream is read, so that nothing is waited for once a line is complete.
        name: of the stream, for messages.
        encoding: of the text; a byte order mark is not part of it, and one of UTF-16 takes the place of UTF-8.
        at_most: lines at a time.

    Raises:
        InputError: a line is not text in the encoding, or too long. The lines before it come first.
    """
    waiting: queue.Queue[str | InputError | None] = queue.Queue(MAX_WAITING)

    def read() -> None:
        try:
            for line in _lines(getattr(stream, "raw", stream), name, encoding):
                waiting.put(line)
            waiting.put(None)
        except InputError as error:
            waiting.put(error)
        except (OSError, ValueError) as error:  # the stream was closed
            waiting.put(InputError(f"{name}: cannot be read: {error}"))

    threading.Thread(target=read, name="lines", daemon=True).start()
    while True:
        items = [waiting.get()]
        while len(items) < at_most and not waiting.empty():
            items.append(waiting.get())
        if lines := [item for item in items if isinstance(item, str)]:
            yield lines
        if items[-1] is None:
            return
        if isinstance(items[-1], InputError):
            raise items[-1]


def _lines(stream: BinaryIO, name: str, encoding: str) -> Iterator[str]:
    """The lines of a stream, without line ends."""
    data = stream.read(CHUNK)
    if len(data) == 1 and data in (mark[:1] for mark in UTF16_MARKS):
        data += stream.read(CHUNK)
    is_utf16 = encoding == "utf-8" and data.startswith(UTF16_MARKS)
    codec = "utf-16" if is_utf16 else "utf-8-sig" if encoding == "utf-8" else encoding
    decoder = codecs.getincrementaldecoder(codec)("strict")
    rest, number, error = "", 0, None
    while True:
        try:
            rest += decoder.decode(data, final=not data)
        except UnicodeDecodeError as found:
            rest += found.object[: found.start].decode(codec, "replace")
            error = found
        *complete, rest = rest.split("\n")
        for line in complete:
            number += 1
            yield _checked(line, name, number)
        if error is not None:
            raise InputError(
                f"{name}:{number + 1}: the text must be {encoding.upper()} text. Received byte "
                f"0x{error.object[error.start]:02x}: convert it to the encoding of the training data."
            )
        _checked(rest, name, number + 1)  # a line without end would fill the memory
        if not data:
            break
        data = stream.read(CHUNK)
    if rest:
        yield _checked(rest, name, number + 1)


def _checked(line: str, name: str, number: int) -> str:
    """A line without its end."""
    if len(line) > MAX_LINE:
        raise InputError(f"{name}:{number}: a line may have at most {MAX_LINE:,} characters. Divide it.")
    if "\0" in line:
        raise InputError(f"{name}:{number}: a line must be text. Received a null character: it may be UTF-16.")
    return line.removesuffix("\r")
