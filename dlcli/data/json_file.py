"""Reading JSON files that a user names."""

import json
from pathlib import Path
from typing import Any, NoReturn

from dlcli.errors import InputError
from dlcli.files import read_text


def read_json(file: Path, *, noun: str, max_bytes: int, remedy: str, allow_nan: bool = False) -> Any:
    """The content of a JSON file, with finite numbers unless others are allowed.

    Args:
        noun: what the file is, for messages: "COCO file".
        remedy: what to give instead.
        allow_nan: read NaN, Infinity and -Infinity too, which JSON does not have but some programs write: for a reader
            that checks each number, and so can name what it belongs to.

    Raises:
        InputError: it cannot be read, or is not valid JSON.
    """
    text = read_text(file, noun=noun, max_bytes=max_bytes, remedy=remedy)

    def refuse_constant(name: str) -> NoReturn:
        raise InputError(f"{file}: numbers must be finite. Received {name}: correct the file, or write it again.")

    try:
        return json.loads(text, parse_constant=None if allow_nan else refuse_constant)
    except json.JSONDecodeError as error:
        raise InputError(f"{file}:{error.lineno}: this is not valid JSON from column {error.colno}. {remedy}") from None
    except RecursionError:
        raise InputError(f"{file}: must be a {noun}. Received lists nested too deeply: give another file.") from None
    except ValueError:  # from int()
        raise InputError(f"{file}: numbers must be of usual length. Received one of thousands of digits.") from None
