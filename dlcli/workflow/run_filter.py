"""Conditions on runs, such as ``val_accuracy > 0.9 and not tag = old``: a small language of its own, without eval."""

import contextlib
import math
import operator
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from dlcli.errors import InputError
from dlcli.printing import escaped_line
from dlcli.recipe.language.suggestions import did_you_mean
from dlcli.rundir.runs import NAME

MAX_LENGTH = 400  # characters
MAX_DEPTH = 50  # of parentheses and negations
FORM = "NAME OPERATOR VALUE, such as test_accuracy > 0.9, joined by and, or, not and parentheses"
TOKEN = re.compile(r"""\s*(?:(<=|>=|!=|==|=|<|>|~)|([()])|"([^"]*)"|'([^']*)'|(\[[^<>=!~()"']*\]|[^\s<>=!~()"']+))""")
ORDERED = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
DATES = ("started",)
"""Values that are times, in UTC, whose text is compared because its order is that of time."""
DATE_FORMS = {"%Y": 4, "%Y-%m": 7, "%Y-%m-%d": 10, "%Y-%m-%dT%H:%M": 16, "%Y-%m-%dT%H:%M:%S": 19}
"""How dates may be written, with the number of characters in ISO 8601."""
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
NAMES = ("name", "tag")
"""Values that are names of runs or tags."""
MAX_CHOICES = 24  # in an error
BOOLEANS = ("true", "false")
UNKNOWN: Final = object()
"""The value of a run that cannot be read; no comparison with it holds, nor does its negation."""

Values = Mapping[str, Any]
Test = Callable[[Values], bool | None]
"""Whether the values of a run fulfill a condition; None if that cannot be said, because it lacks a value."""


@dataclass(frozen=True)
class Token:
    kind: str  # operator, paren, text (in quotes) or word
    text: str


@dataclass(frozen=True)
class Comparison:
    name: str
    sign: str
    value: str


@dataclass(frozen=True)
class Condition:
    """A parsed condition.

    Attributes:
        comparisons: those that it consists of.
        holds: whether the values of a run fulfill it.
    """

    comparisons: tuple[Comparison, ...]
    holds: Callable[[Values], bool]


def parse(text: str, *, option: str = "--where") -> Condition:
    """Parse a condition: comparisons by ``= != < <= > >=`` or ``~`` (contains), ``and``, ``or``, ``not``, parentheses.

    Numbers are compared as numbers, other values as text, by ``~`` without case. A date, such as 2026-01-31 or 2026-01,
    is the whole day or month. A run that lacks the value fulfills ``!=`` and ``= null``, and neither ``<`` (or its
    like) nor its negation. A value that is a list, such as tags, fulfills ``=`` as a whole and with any of its items,
    and ``~`` with any of them; an empty list is ``null``.

    Raises:
        InputError: the text has another form.
    """
    if len(text) > MAX_LENGTH:
        raise InputError(f"{option}: must have at most {MAX_LENGTH} characters. Received {len(text):,}.")
    return _Parser(text, option).parse()


def matching(
    condition: Condition,
    runs: Sequence[Values],
    *,
    choices: Mapping[str, Collection[str]] | None = None,
    option: str = "--where",
) -> list[bool]:
    """Whether each run, given by its values, fulfills a condition.

    Args:
        choices: all values, besides null, of names whose values are few.

    Raises:
        InputError: no run has a value of a name that the condition asks for, or it is compared with what it can never
            be, such as a number with a text.
    """
    for comparison in condition.comparisons if runs else ():
        _check(comparison, runs, choices or {}, option)
    return [condition.holds(values) for values in runs]


def _check(comparison: Comparison, runs: Sequence[Values], choices: Mapping[str, Collection[str]], option: str) -> None:
    name, sign, expected = comparison.name, comparison.sign, comparison.value
    if all(name not in values for values in runs):
        known = sorted({known for values in runs for known in values})
        hint = did_you_mean(name, known) or f". Names are, for example: {', '.join(known[:12])}."
        raise InputError(f"{option}: no run has a value named '{escaped_line(name)}'{hint}")
    received = f"Received '{escaped_line(expected)}'."
    if not expected:  # such as a shell's variable that is not set
        raise InputError(f"{option}: {name} {sign} needs a value; what a run lacks is null. {received}")
    if sign == "~":
        return
    if expected == "null" and sign not in ORDERED:
        return
    if name in DATES:
        if _date(expected) is None:
            raise InputError(f"{option}: {name} is a date, such as 2026-01-31 or 2026-01-31T18:00. {received}")
        return
    values = [values[name] for values in runs if values.get(name) not in (None, UNKNOWN)]
    are_lists = any(isinstance(value, (list, tuple)) for value in values)
    items = [item for value in values for item in (value if isinstance(value, (list, tuple)) else [value])]
    if name in NAMES and not all(item in items or NAME.fullmatch(item) for item in _wanted(expected, are_lists)):
        raise InputError(f"{option}: {name} is compared with one name; join several by or. {received}")
    are_numbers = bool(items) and all(map(_is_number, items))
    if sign in ORDERED and (are_lists or (items and not any(map(_is_number, items)))):
        raise InputError(f"{option}: {name} is not a number, so it has no order. Compare it by =, != or ~.")
    if (sign in ORDERED or are_numbers) and not all(map(_is_finite, _wanted(expected, are_lists))):
        what = (
            "a list of numbers, and must be compared with numbers"
            if are_lists
            else "a number, and must be compared with one"
        )
        raise InputError(f"{option}: {name} is {what}. {received}")
    are_booleans = values and all(isinstance(value, bool) for value in values)
    allowed = BOOLEANS if are_booleans else choices.get(name)
    if allowed and expected not in allowed:
        hint = did_you_mean(expected, allowed) or "."
        listed = sorted(allowed)[:MAX_CHOICES]
        more = ", …" if len(allowed) > MAX_CHOICES else ""
        raise InputError(f"{option}: {name} is one of {', '.join(listed)}{more}. {received[:-1]}{hint}")


class _Parser:
    """Recursive descent: any = all ("or" all)*, all = one ("and" one)*, one = "not" one | "(" any ")" | comparison.

    Depth is bounded, because so is Python's.
    """

    def __init__(self, text: str, option: str) -> None:
        self._option, self._text = option, text
        self._tokens = self._read()
        self._comparisons: list[Comparison] = []
        self._depth = 0

    def parse(self) -> Condition:
        holds = self._any()
        if self._tokens:
            raise self._error(f"before '{self._tokens[0].text}'")
        return Condition(tuple(self._comparisons), lambda values: holds(values) is True)

    def _read(self) -> list[Token]:
        tokens, place = [], 0
        while self._text[place:].strip():
            match = TOKEN.match(self._text, place)
            if match is None:
                raise self._error(f"at '{self._text[place:].strip()}'")
            kind = ("operator", "paren", "text", "text", "word")[(match.lastindex or 1) - 1]
            tokens.append(Token(kind, match[match.lastindex or 1]))
            place = match.end()
        return tokens

    def _error(self, where: str) -> InputError:
        return InputError(f"{self._option}: expected {FORM}. It cannot be read {escaped_line(where)}.")

    def _next_is(self, kind: str, text: str) -> bool:
        if self._tokens and self._tokens[0] == Token(kind, text):
            del self._tokens[0]
            return True
        return False

    def _take(self, *kinds: str) -> str:
        if not self._tokens or self._tokens[0].kind not in kinds:
            raise self._error(f"at '{self._tokens[0].text}'" if self._tokens else "at the end")
        return self._tokens.pop(0).text

    def _any(self) -> Test:
        parts = [self._all()]
        while self._next_is("word", "or"):
            parts.append(self._all())
        return lambda values: _joined([part(values) for part in parts], decisive=True)

    def _all(self) -> Test:
        parts = [self._one()]
        while self._next_is("word", "and"):
            parts.append(self._one())
        return lambda values: _joined([part(values) for part in parts], decisive=False)

    def _one(self) -> Test:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise InputError(f"{self._option}: must have at most {MAX_DEPTH} parentheses and negations in each other.")
        try:
            return self._negated_or_plain()
        finally:
            self._depth -= 1

    def _negated_or_plain(self) -> Test:
        if self._next_is("word", "not"):
            negated = self._one()
            return lambda values: None if (holds := negated(values)) is None else not holds
        if self._next_is("paren", "("):
            inner = self._any()
            if not self._next_is("paren", ")"):
                raise self._error("where ')' is missing")
            return inner
        name, sign, value = self._take("word"), self._take("operator"), self._take("word", "text")
        self._comparisons.append(Comparison(name, sign, value))
        return lambda values: compare(name, values.get(name), sign, value)


def _joined(parts: Sequence[bool | None], *, decisive: bool) -> bool | None:
    """The result of parts of which one that is ``decisive`` decides, else one that is unknown."""
    return decisive if decisive in parts else None if None in parts else not decisive


def compare(name: str, received: Any, sign: str, expected: str) -> bool | None:
    """Whether a value of a run fulfills one comparison; None if that cannot be said, because it has no such order."""
    if received is UNKNOWN:
        return None
    if isinstance(received, (list, tuple)):
        return _compare_list(name, received, sign, expected)
    if name in DATES and not (isinstance(received, str) and DATE.match(received)):
        received = None
    match sign:
        case "=" | "==":
            return _is_equal(name, received, expected)
        case "!=":
            return not _is_equal(name, received, expected)
        case "~":
            return received is not None and expected.casefold() in _text(received).casefold()
    if received is None:
        return None
    if name in DATES:
        date = _date(expected)
        return None if date is None else bool(ORDERED[sign](str(received)[: len(date)], date))
    bound = _number(expected)
    return bool(ORDERED[sign](received, bound)) if _is_number(received) and bound is not None else None


def _compare_list(name: str, items: Sequence[Any], sign: str, expected: str) -> bool | None:
    if sign == "!=":
        return not _compare_list(name, items, "=", expected)
    if sign in ("=", "=="):
        if expected == "null":
            return not items
        wanted = _wanted(expected, True)
        are_same = len(items) == len(wanted) and all(map(partial(_is_equal, name), items, wanted))
        if expected.startswith("[") and (are_same or "".join(_text(items).split()) == "".join(expected.split())):
            return True
    return _joined([compare(name, item, sign, expected) for item in items], decisive=True)


def _is_equal(name: str, received: Any, expected: str) -> bool:
    if _is_number(received):
        return bool(received == _number(expected))
    date = _date(expected) if name in DATES else None
    return _text(received) == expected if date is None else str(received).startswith(date)


def _text(value: Any) -> str:
    """A value as a condition names it: null, true, a text, or a list such as [32, 16]."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_text, value))}]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _is_finite(text: str) -> bool:
    number = _number(text)
    return number is not None and math.isfinite(number)


def _wanted(text: str, are_lists: bool) -> list[str]:
    """The items of a list, such as [32, 16], where values are lists; other text is its only item."""
    if not (are_lists and text.startswith("[") and text.endswith("]")):
        return [text]
    return [item.strip() for item in text[1:-1].split(",")] if text[1:-1].strip() else []


def _date(text: str) -> str | None:
    """A year, month, day or time as run.json has it, without what is not given; None for any other text."""
    for form, length in DATE_FORMS.items():
        with contextlib.suppress(ValueError):
            return datetime.strptime(text.removesuffix("Z"), form).isoformat()[:length]
    return None


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """The values of nested mappings by their dotted keys, such as ``train.batch_size``."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
