"""Reads YAML into plain values, and records the place of each key and value.

The language is a subset of YAML 1.2 without surprises. Plain scalars follow its core schema: ``1e-3`` and ``.5``
are floats, only ``true`` and ``false`` are booleans (``no`` and ``on`` are text), ``010`` is ten, ``1_000`` is text.
Sections are dicts with text for keys, sequences are tuples. Duplicate keys, anchors, aliases, merge keys, tags,
several documents and control characters are refused; size, depth and number of values are bounded.
"""

import os
import re
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from dlcli.errors import InputError
from dlcli.files import BadFile, NoFile, open_file
from dlcli.recipe.language.errors import Diagnostic, KeyPath, Place, dotted, shortened
from dlcli.recipe.language.suggestions import nearest

MAX_BYTES = 2**20
MAX_DEPTH = 20
MAX_VALUES = 20_000
MAX_INTEGER = 2**63 - 1  # what TensorFlow can hold

NULL = re.compile(r"~|null|Null|NULL|")
BOOLEAN = re.compile(r"true|True|TRUE|false|False|FALSE")
INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
SPECIAL_FLOAT = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")

# What no text file needs: control characters but tab and line ends, surrogates, U+FFFE and U+FFFF.
CONTROL = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

UNREADABLE = object()
"""Placeholder for a value whose error has been reported."""


@dataclass(frozen=True)
class Mark:
    """The places of a key and its value; for an item of a list both are the place of the item."""

    key: Place
    value: Place


@dataclass
class Tree:
    """The content of a recipe: plain values, the mark of each, and the errors in the YAML itself."""

    values: Any = UNREADABLE
    marks: dict[KeyPath, Mark] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    complete: bool = False
    """Whether the text was read to its end. Otherwise, missing keys are not errors."""

    def path(self, key: str) -> KeyPath:
        """A dotted key as a path: numbers are indices of a list, unless a section has such a key. Keys that have dots
        themselves, such as those of ``sweep.space``, are found too."""
        path: KeyPath = ()
        parts = key.split(".")
        while parts:
            lengths = range(1, len(parts) + 1)
            length = next((n for n in lengths if (*path, ".".join(parts[:n])) in self.marks), 1)
            part, parts = ".".join(parts[:length]), parts[length:]
            is_index = part.isdecimal() and (*path, part) not in self.marks
            path = (*path, int(part) if is_index else part)
        return path

    def place(self, path: KeyPath) -> Place:
        """The place of a value; for a missing one, the key of the nearest section above it."""
        if path in self.marks:
            return self.marks[path].value
        while path not in self.marks:
            path = path[:-1]
        return self.marks[path].key


class _Unreadable(Exception):
    """An error after which reading cannot continue."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.diagnostic = Diagnostic(place, "", message)


def read_bytes(path: Path) -> bytes:
    """The content of a recipe's file.

    Raises:
        InputError: the file does not exist, cannot be read, is larger than 1 MiB, or is not text.
    """
    try:
        with open_file(path) as file:
            data = file.read(MAX_BYTES + 1)
    except NoFile:
        folder = path.parent
        if not folder.is_dir():
            raise InputError(f"{path}: no such file; the folder {folder} does not exist") from None
        by_stem = {Path(name).stem: name for name in _recipes_in(folder)}
        near = [repr(by_stem[stem]) for stem in nearest(path.stem, by_stem)]
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise InputError(f"{path}: no such file{hint}") from None
    except BadFile as reason:
        if not path.is_dir():
            raise InputError(f"{path}: {reason}. Give the file of a recipe.") from None
        recipes = _recipes_in(path)
        such_as = f", such as {path / recipes[0]}" if recipes else ""
        raise InputError(f"{path}: is a folder; name the file of a recipe{such_as}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise InputError(f"{path}: a recipe must be at most 1 MiB. This file is larger.")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{path}: a recipe must be UTF-8 text. This file is UTF-16; save it as UTF-8.")
    if b"\0" in data:
        raise InputError(
            f"{path}: a recipe must be UTF-8 text. Byte {data.index(0)} of this file is 0, as in binary files."
        )
    return data


def _recipes_in(folder: Path) -> list[str]:
    """The names of the YAML files in a folder, at most a thousand; none where the folder cannot be read."""
    try:
        return sorted(islice((name for name in os.listdir(folder) if name.endswith((".yaml", ".yml"))), 1000))
    except OSError:
        return []


def decode(data: bytes, source: str) -> str:
    """The text of a recipe's file, without a byte order mark.

    Raises:
        InputError: the bytes are not UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # error.start counts from after the byte order mark
        before = error.object[: error.start].decode("utf-8")
        place = f"{source}:{before.count(chr(10)) + 1}:{len(before.rpartition(chr(10))[2]) + 1}"
        byte = error.object[error.start]
        raise InputError(
            f"{place}: a recipe must be UTF-8 text; save it as UTF-8. Received byte 0x{byte:02X}."
        ) from None


def read_yaml(text: str, source: str, order: int = 0) -> Tree:
    """Reads one YAML document. It never raises: errors are in the diagnostics of the tree.

    Args:
        text: the document.
        source: the path of the file, or the option that has the text, as the user wrote it.
        order: 0 for a file, the number of the option otherwise; see `Place`.
    """
    return _Reader(text, source, order).read()


def plain_scalar(text: str) -> str | int | float | bool | None:
    """The value of an unquoted scalar by YAML 1.2's core schema.

    Raises:
        ValueError: a whole number beyond 64 bits.
    """
    if NULL.fullmatch(text):
        return None
    if BOOLEAN.fullmatch(text):
        return text.lower() == "true"
    if INTEGER.fullmatch(text):
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        # The length is checked first: Python refuses to convert thousands of digits.
        if len(text.lstrip("+-0ox")) > 22 or abs(int(text, base)) > MAX_INTEGER:
            raise ValueError(f"whole numbers are at most {MAX_INTEGER}. Received {shortened(text)}.")
        return int(text, base)
    if FLOAT.fullmatch(text):
        return float(text)
    if SPECIAL_FLOAT.fullmatch(text):
        return float(text.replace(".", "", 1))
    return text


class _Reader:
    """Builds a `Tree` from PyYAML's events, which expand no aliases."""

    def __init__(self, text: str, source: str, order: int) -> None:
        self.text = text
        self.source = source
        self.order = order
        self.tree = Tree()
        self.num_values = 0
        self.events: Any = None  # types-PyYAML does not type the methods that read events

    def read(self) -> Tree:
        try:
            self.refuse_control_characters()
            self.events = yaml.SafeLoader(self.text)  # its constructor is not used
            self.read_document()
            self.tree.complete = True
        except _Unreadable as error:
            self.tree.diagnostics.append(error.diagnostic)
        except yaml.MarkedYAMLError as error:
            self.tree.diagnostics.append(Diagnostic(self.error_place(error), "", self.syntax_message(error)))
        except (ValueError, OverflowError):
            # PyYAML does not catch Python's errors on "\UFFFFFFFF" and on a version of thousands of digits.
            self.error(self.events.get_mark(), "not valid YAML: a number in an escape or a directive is too large")
        return self.tree

    def refuse_control_characters(self) -> None:
        match = CONTROL.search(self.text)
        if match is not None:
            before = self.text[: match.start()]
            place = Place(self.order, before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1, self.source)
            code = f"U+{ord(match[0]):04X}"
            raise _Unreadable(place, f"a recipe must not contain control characters. Received {code}.")

    def read_document(self) -> None:
        self.events.get_event()  # the stream's start
        if self.events.check_event(yaml.StreamEndEvent):
            message = (
                "the recipe is empty; start with its task, as in 'task: classification'"
                if self.order == 0
                else "expected a value, received a comment; quote text that starts with '#'"
            )
            raise _Unreadable(self.place(self.events.get_event().start_mark), message)
        start = self.events.get_event()
        if start.version not in (None, (1, 2)):
            version = ".".join(str(number) for number in start.version)
            self.error(start.start_mark, f"recipes are YAML 1.2; remove the directive %YAML {version}")
        self.tree.values = self.read_node((), None)
        self.events.get_event()  # the document's end
        if self.events.check_event(yaml.DocumentStartEvent):
            raise _Unreadable(
                self.place(self.events.get_event().start_mark),
                "a recipe is a single document; remove everything from here on",
            )

    def read_node(self, path: KeyPath, key: Place | None) -> Any:
        """Reads the next value.

        Args:
            path: the path of the value.
            key: the place of its key; None for an item of a list and for the whole document.
        """
        event = self.events.get_event()
        place = self.place(event.start_mark)
        self.num_values += 1
        if self.num_values > MAX_VALUES:
            raise _Unreadable(place, f"a recipe has at most {MAX_VALUES:,} keys and values")
        if len(path) > MAX_DEPTH:
            raise _Unreadable(place, f"a recipe is at most {MAX_DEPTH} levels deep")
        self.tree.marks.setdefault(path, Mark(key or place, place))
        if isinstance(event, yaml.AliasEvent):
            self.error(
                event.start_mark,
                "aliases are not supported; write the value out, or quote text that starts with '*'",
                path,
            )
            return UNREADABLE
        if event.anchor is not None:
            self.error(
                event.start_mark, "anchors are not supported; remove it, or quote text that starts with '&'", path
            )
        if event.tag is not None:
            self.error(event.start_mark, "tags are not supported; remove it, or quote text that starts with '!'", path)
        value: Any
        if isinstance(event, yaml.SequenceStartEvent):
            value = self.read_sequence(path)
        elif isinstance(event, yaml.MappingStartEvent):
            value = self.read_mapping(path)
        else:
            value = self.scalar(event, path)
        return value if event.tag is None else UNREADABLE

    def read_sequence(self, path: KeyPath) -> tuple[Any, ...]:
        items: list[Any] = []
        while not self.events.check_event(yaml.SequenceEndEvent):
            items.append(self.read_node((*path, len(items)), None))
        self.events.get_event()
        return tuple(items)

    def read_mapping(self, path: KeyPath) -> dict[str, Any]:
        section: dict[str, Any] = {}
        while not self.events.check_event(yaml.MappingEndEvent):
            start = self.events.peek_event()
            key = self.read_key(path)
            place = self.place(start.start_mark)
            if key is None:
                self.read_node((*path, ""), place)  # the value of no key
            elif key in section:
                line = self.tree.marks[*path, key].key.line
                first = f"first on line {line}" if line != place.line else "twice on this line"
                self.error(start.start_mark, f"duplicate key {shortened(key)!r} ({first})")
                self.read_node((*path, key), place)
            else:
                section[key] = self.read_node((*path, key), place)
        self.events.get_event()
        return section

    def read_key(self, path: KeyPath) -> str | None:
        """Reads a key; returns None for an invalid one."""
        event = self.events.peek_event()
        plain = isinstance(event, yaml.ScalarEvent) and event.style is None
        num_errors = len(self.tree.diagnostics)
        marks = self.tree.marks
        self.tree.marks = {}  # the parts of a key are not part of the recipe
        key = self.read_node((*path, ""), None)
        self.tree.marks = marks
        if len(self.tree.diagnostics) > num_errors:
            return None
        if plain and key == "<<":
            self.error(event.start_mark, "merge keys are not supported; write the keys out")
        elif isinstance(key, str) and key:
            return key
        elif isinstance(key, (dict, tuple)):
            self.error(event.start_mark, "a key must be text, not a list or a section")
        elif event.value:
            self.error(event.start_mark, f'a key must be text; write "{shortened(event.value)}"')
        else:
            self.error(event.start_mark, "a key must be text. Received nothing.")
        return None

    def scalar(self, event: yaml.ScalarEvent, path: KeyPath) -> Any:
        match = CONTROL.search(event.value)  # one written as an escape
        if match is not None:
            code = f"U+{ord(match[0]):04X}"
            self.error(event.start_mark, f"text must not contain control characters. Received {code}.", path)
            return UNREADABLE
        if event.style is not None:
            return event.value
        try:
            return plain_scalar(event.value)
        except ValueError as error:
            self.error(event.start_mark, str(error), path)
            return UNREADABLE

    def error(self, mark: Any, message: str, path: KeyPath = ()) -> None:
        key = dotted(tuple(part for part in path if part != ""))  # a key that is refused has no name
        self.tree.diagnostics.append(Diagnostic(self.place(mark), key, message))

    def place(self, mark: Any) -> Place:
        return Place(self.order, mark.line + 1, mark.column + 1, self.source)

    def error_place(self, error: yaml.MarkedYAMLError) -> Place:
        mark = error.problem_mark or error.context_mark
        return self.place(mark) if mark is not None else Place(self.order, 1, 1, self.source)

    def syntax_message(self, error: yaml.MarkedYAMLError) -> str:
        """PyYAML's error about invalid YAML, in words that name the remedy."""
        problem = error.problem or ""
        mark = error.problem_mark
        character = self.text[mark.index : mark.index + 1] if mark is not None else ""
        context = error.context_mark
        since = f" (since line {context.line + 1})" if context and mark and context.line < mark.line else ""
        if "cannot start any token" in problem and character == "\t":
            return "tabs are not allowed here; indent and separate with spaces"
        if "cannot start any token" in problem:
            return f"text that starts with {character!r} must be quoted"
        if "expected alphabetic or numeric character" in problem:
            return "text that starts with '*', '&' or '!' must be quoted"
        if "mapping values are not allowed" in problem:
            return (
                "a ':' is not allowed here; check that the line above has a ':' and a space after it, "
                "or quote text that contains ': '"
            )
        if "could not find expected ':'" in problem:
            return f"a key needs a ':' and a space after it{since}"
        if "expected <block end>" in problem or "sequence entries are not allowed" in problem:
            return "the indentation does not match the lines above; indent the line like its neighbors"
        if "expected ',' or" in problem:
            return f"expected ',' or a closing bracket{since}"
        if "expected '<document start>'" in problem:
            return "the recipe ends above this line; remove everything that follows"
        if "expected the node content" in problem:
            return "a value is missing here"
        if "unexpected end of stream" in problem:
            return f"a quotation mark is not closed{since}"
        if "unknown escape character" in problem:
            return f"'\\{character}' is not an escape sequence; write '\\\\', or use single quotes"
        return f"not valid YAML: {shortened(problem)}{since}"
