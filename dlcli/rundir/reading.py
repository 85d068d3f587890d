"""Reading the files of a run: bounded, and with one line that names a file that is missing or corrupt."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from dlcli.errors import InputError
from dlcli.files import BadFile, NoFile, open_file, read_file
from dlcli.printing import describe_bad_json
from dlcli.rundir.metric_names import with_current_names

MAX_JSON_BYTES = 2**28  # of run.json, which lists what was left out of the data, and the like
MAX_DIGITS = 300  # of an integer
MAX_METRICS_BYTES = 2**31  # of metrics.json, which holds the confusion matrix


def _integer(digits: str) -> int:
    """An integer that a float can hold, as what reads runs computes with it.

    Raises:
        ValueError: it is too large.
    """
    if len(digits) > MAX_DIGITS:
        raise ValueError("too many digits")
    return int(digits)


def file_digest(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with open_file(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except BadFile as reason:
        raise InputError(f"{path}: {reason}. Restore it from a copy.") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). Restore it from a copy.") from None


def read_json(path: Path, max_bytes: int = MAX_JSON_BYTES) -> dict[str, Any]:
    """Read a JSON file of a run, with the current names of metrics and tasks.

    Raises:
        InputError: it is missing, unreadable, larger than ``max_bytes`` or not a JSON object.
    """
    try:
        value = json.loads(read_file(path, max_bytes), object_pairs_hook=with_current_names, parse_int=_integer)
    except NoFile:
        raise InputError(f"{path}: no such file. A run directory must contain it. Restore it from a copy.") from None
    except BadFile as reason:
        raise InputError(f"{path}: {reason}. Restore it from a copy.") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is corrupt: {describe_bad_json(error)}. Restore it from a copy.") from None
    if not isinstance(value, dict):
        raise InputError(f"{path}: is corrupt: it must contain a JSON object. Restore it from a copy.")
    return value


def entry_mode(path: Path) -> int:
    """The kind and permissions of an entry, of a link itself; 0 if there is none."""
    try:
        return os.lstat(path).st_mode
    except (OSError, ValueError):
        return 0


def check_keys(path: Path, value: dict[str, Any], /, **kinds: type | tuple[type, ...]) -> None:
    for key, kind in kinds.items():
        if not isinstance(value.get(key), kind):
            raise InputError(f"{path}: is corrupt: '{key}' is missing or has the wrong type. Restore it from a copy.")
