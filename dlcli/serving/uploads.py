"""Samples in forms and plain bodies: files of ``multipart/form-data``, one encoded image, or one text.

Everything stays in memory; nothing is written to a disk.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from dlcli.serving.limits import Limits
from dlcli.serving.refusal import Refused
from dlcli.serving.samples import WRITTEN, of_bytes

FORM = "multipart/form-data"
MAX_NAMED = 100  # characters of a client's text in a message

PLAIN = {
    "images": ("image/", "application/octet-stream"),
    "texts": ("text/plain",),
    "tables": ("text/csv", "text/plain", "application/octet-stream"),
}
"""How the Content-Type of a body that is one sample starts, by the kind of the samples."""


@dataclass
class _Part:
    """A part of a form: the names in its Content-Disposition header, and its content."""

    header: dict[str, str] = field(default_factory=dict)
    content: list[bytes] = field(default_factory=list)

    @property
    def names(self) -> tuple[str, str | None]:
        """The field's name, and that of the file if it is one."""
        _, options = parse_options_header(self.header.get("content-disposition", ""))
        name, file = options.get(b"name", b""), options.get(b"filename")
        return _text(name), None if file is None else _text(file)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


class _Reader:
    """Collects the parts of a form, from the calls of the parser."""

    def __init__(self, most: int) -> None:
        self.parts: list[_Part] = []
        self.is_complete = False
        self._most = most
        self._name = self._value = b""

    def parser(self, boundary: bytes) -> MultipartParser:
        callbacks: Any = {
            "on_part_begin": self._begin,
            "on_part_data": lambda data, start, end: self.parts[-1].content.append(data[start:end]),
            "on_header_field": self._add_name,
            "on_header_value": self._add_value,
            "on_header_end": self._end_header,
            "on_end": self._end,
        }
        return MultipartParser(boundary, callbacks)

    def _begin(self) -> None:
        if len(self.parts) == self._most:
            raise Refused(400, f"a form may have at most {self._most} parts.")
        self.parts.append(_Part())

    def _add_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        # browsers send the names of files in UTF-8; the parser of options takes Latin-1
        self.parts[-1].header[self._name.decode("latin-1").lower()] = self._value.decode("latin-1")
        self._name = self._value = b""

    def _end(self) -> None:
        self.is_complete = True


def read_form(body: bytes, content_type: str, kind: str, limits: Limits) -> tuple[list[str], list[Callable[[], Any]]]:
    """The names and samples of a form: each file, and for texts and tables each field.

    Raises:
        Refused: the form is malformed, or has no sample.
    """
    names: list[str] = []
    samples: list[Callable[[], Any]] = []
    for part in _parts(body, content_type, limits):
        name, file = part.names
        if file is None and kind not in WRITTEN:
            shown = name[:MAX_NAMED] or "image"
            raise Refused(400, f"the form's field '{shown}' must be a file: with curl, -F {shown}=@FILE.")
        names.append(file or name)
        content = b"".join(part.content)
        samples.append(lambda content=content: of_bytes(content, kind, limits))  # type: ignore[misc]
    if not samples:
        raise Refused(400, "the form must have a file for each sample.")
    return names, samples


def _parts(body: bytes, content_type: str, limits: Limits) -> list[_Part]:
    _, options = parse_options_header(content_type)
    if not options.get(b"boundary"):
        raise Refused(400, f"Content-Type: {FORM} must name a boundary.")
    reader = _Reader(limits.max_samples)
    try:
        parser = reader.parser(options[b"boundary"])
        parser.write(body)
        parser.finalize()
    except FormParserError:
        raise Refused(400, f"the body must be {FORM} with the boundary that Content-Type names.") from None
    if not reader.is_complete:
        raise Refused(400, f"the body must be {FORM}. Its end is missing.")
    return reader.parts


def read_plain(body: bytes, content_type: str, kind: str, limits: Limits) -> Callable[[], Any]:
    """The one sample of a body: an image (``image/*`` or bytes), a text (``text/plain``) or a table (``text/csv``).

    Raises:
        Refused: the model takes no such samples.
    """
    if not content_type.startswith(PLAIN.get(kind, "\n")):
        received = content_type[:MAX_NAMED] or "none"
        raise Refused(415, f"Content-Type: this model takes {kind} as JSON or as above. Received {received}.")
    return lambda: of_bytes(body, kind, limits)
