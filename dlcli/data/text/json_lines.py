"""A JSON object on each line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

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
