"""Numbers as people write them: a decimal comma, and separators between groups of three digits."""

import re
from typing import Literal

from dlcli.data.table import parse_number

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
