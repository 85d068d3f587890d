"""A JSON object on each line."""

import json
from typing import Any

JSON_LINES = (".jsonl", ".ndjson")  # suffixes


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
