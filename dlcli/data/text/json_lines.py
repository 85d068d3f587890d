"""A JSON object on each line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from dlcli.data.files import printable
from dlcli.data.listing import is_encodable, name_some
from dlcli.data.splits import SPLIT_NAMES, split_named
from dlcli.data.table import refuse_errors
from dlcli.data.text.files import read_content

JSON_LINES = (".jsonl", ".ndjson")  # suffixes

T = TypeVar("T")


class BadLine(Exception):
    """An invalid line; the message is the reason."""


def json_object(content: str, example: str) -> dict[str, Any]:
    """The object on a line.

    Args:
        example: of an object, for the error.

    Raises:
        BadLine: it is not a JSON object.
    """
    try:
        values = json.loads(content)
    except (ValueError, RecursionError) as error:
        where = f" from column {error.colno}" if isinstance(error, json.JSONDecodeError) else ": too deep or too long"
        raise BadLine(f"this is not valid JSON{where}. Correct the line.") from None
    if not isinstance(values, dict):
        raise BadLine(f"a line must be a JSON object, such as {example}.")
    return values


def read_json_lines(file: Path, encoding: str, example: str, take: Callable[[int, dict[str, Any]], T]) -> list[T]:
    """What is taken from the object on each line; empty lines are skipped.

    Args:
        example: of an object, for errors.
        take: from the number of a line and its object; raises BadLine if the object is invalid.

    Raises:
        InputError: the file cannot be read, or lines are invalid, which are reported together.
    """
    found: list[T] = []
    errors: list[tuple[int, str]] = []
    for line, content in enumerate(read_content(file, "file of JSON lines", encoding).split("\n"), start=1):
        if not content.strip():
            continue
        try:
            found.append(take(line, json_object(content, example)))
        except BadLine as reason:
            errors.append((line, str(reason)))
    refuse_errors(file, errors)
    return found


def split_of(values: dict[str, Any], key: str) -> str:
    """The split that an object names.

    Raises:
        BadLine: it names none.
    """
    found = split_named(value_of(values, key, str))
    if found is None:
        raise BadLine(f"'{key}' must be {SPLIT_NAMES}. Received '{values[key]}'.")
    return found


def value_of(values: dict[str, Any], key: str, kind: Any) -> Any:
    """The value of an object's key.

    Args:
        kind: ``str`` for a text, which may be empty; ``str | int`` for the name of a class or the like.

    Raises:
        BadLine: it is missing, or not of this kind.
    """
    if key not in values:
        raise BadLine(f"there must be '{key}'. Received {name_some([printable(name) for name in values]) or 'none'}.")
    value = values[key]
    if isinstance(value, bool) or not isinstance(value, kind) or (value == "" and kind is not str):
        words = "text" if kind is str else "text or a whole number"
        raise BadLine(f"'{key}' must be {words}. Received {json.dumps(value)[:50]}.")
    if isinstance(value, str) and kind is not str and not is_encodable(value):  # in a text it becomes a question mark
        raise BadLine(f"'{key}' must be valid Unicode. Received {json.dumps(value)[:50]}.")
    return value
