"""Numbers as people write them: a decimal comma, and separators between groups of three digits."""

import math
import re
from typing import Literal

from dlcli.data.files import printable
from dlcli.data.table import MISSING, is_usable, number_error, parse_number

Mark = Literal["point", "comma"]

MARKS: dict[Mark, str] = {"point": ".", "comma": ","}
OTHER = {".": ",", ",": "."}


def _form(mark: str) -> re.Pattern[str]:
    """A number with a decimal mark; groups of digits are separated by the other mark, a space or an apostrophe."""
    separator = rf"[{re.escape(OTHER[mark])} '’\u00a0\u202f]"
    whole = rf"(?:\d{{1,3}}(?:(?P<separator>{separator})\d{{3}})(?:(?P=separator)\d{{3}})*|\d+|(?={re.escape(mark)}\d))"
    return re.compile(rf"[-+]?{whole}(?:{re.escape(mark)}\d*)?(?:[eE][-+]?\d+)?", re.ASCII)


FORMS = {mark: _form(sign) for mark, sign in MARKS.items()}


def plain_number(cell: str, mark: Mark) -> str | None:
    """A number with a decimal point and no separators, or None if the cell is not a number with this decimal mark:
    ``1.234,5`` with a decimal comma is ``1234.5``.
    """
    match = FORMS[mark].fullmatch(cell)
    if match is None:
        return None
    separator = match["separator"]
    digits = cell if separator is None else cell.replace(separator, "")
    return digits.replace(MARKS[mark], ".")


def decimal_hint(cell: str) -> str:
    """The value of ``data.decimal`` with which a cell would be a number, as a sentence; empty if there is none, or if
    it is a number without it.
    """
    if parse_number(cell) is not None:
        return ""
    marks = [mark for mark in MARKS if plain_number(cell, mark) is not None]
    return f" Set data.decimal: {' or '.join(marks)}." if marks else ""


def cell_error(name: str, cell: str, mark: Mark | None) -> str | None:
    """The error in a cell of a column of numbers with a decimal mark, or None.

    Args:
        mark: None for a point, without groups of digits.
    """
    if mark is None:
        hint = decimal_hint(cell)
        return _not_a_number(name, cell, "", hint) if hint else number_error(name, cell)
    plain = plain_number(cell, mark)
    return _not_a_number(name, cell, f" with a decimal {mark}") if plain is None else number_error(name, plain)


def _not_a_number(name: str, cell: str, kind: str, hint: str = "") -> str:
    return f"column '{printable(name)}' must be a number{kind}. Received '{printable(cell[:50])}'.{hint}"


def number_in(cell: str, mark: Mark | None) -> float:
    """The number in a cell without error; NaN if the value is missing."""
    if cell in MISSING:
        return math.nan
    return float(cell if mark is None else plain_number(cell, mark) or cell)


def is_value(cell: str, mark: Mark | None) -> bool:
    """Whether a cell is a number or missing."""
    plain = cell if mark is None or cell in MISSING else plain_number(cell, mark)
    return cell in MISSING or (plain is not None and is_usable(parse_number(plain)))
