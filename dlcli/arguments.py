"""Checks of the arguments of the Python door, which on the command line are Click's."""

import math
import operator
from collections.abc import Sequence
from typing import Any

from dlcli.errors import InputError


def check_whole(name: str, value: Any, least: int) -> None:
    """Refuse what is not a whole number of at least ``least``; None is no argument.

    Raises:
        InputError: names the argument.
    """
    try:
        is_whole = value is None or (not isinstance(value, bool) and operator.index(value) >= least)
    except TypeError:
        is_whole = False
    if not is_whole:
        raise InputError(f"{name}: expected a whole number >= {least}. Received {value!r:.100}.")


def check_list_of_whole(name: str, value: Any, least: int) -> None:
    """Refuse what is not a list of whole numbers of at least ``least``.

    Raises:
        InputError: names the argument.
    """
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise InputError(f"{name}: expected a list of whole numbers. Received {value!r:.100}.")
    for number in value:
        check_whole(name, number, least)


def check_number(name: str, value: Any, least: float, most: float = math.inf) -> None:
    """Refuse what is not a number in ``[least, most]``; None is no argument.

    Raises:
        InputError: names the argument.
    """
    try:
        is_number = value is None or (not isinstance(value, bool | str) and least <= float(value) <= most)
    except (TypeError, ValueError):
        is_number = False
    if not is_number:
        bounds = f">= {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
        raise InputError(f"{name}: expected a number {bounds}. Received {value!r:.100}.")


def check_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    """Refuse what is none of the choices; None is no argument.

    Raises:
        InputError: names the argument.
    """
    if value is not None and not (isinstance(value, str) and value in choices):
        raise InputError(f"{name}: expected one of {', '.join(choices)}. Received {value!r:.100}.")
