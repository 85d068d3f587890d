"""Conditions on runs, such as ``val_accuracy > 0.9 and not tag = old``: a small language of its own, without eval."""

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlcli.errors import InputError
from dlcli.printing import escaped_line
from dlcli.recipe.language.suggestions import did_you_mean

MAX_LENGTH = 400  # characters
MAX_DEPTH = 50  # of parentheses and negations
FORM = "NAME OPERATOR VALUE, such as test_accuracy > 0.9, joined by and, or, not and parentheses"
TOKEN = re.compile(r"""\s*(?:(<=|>=|!=|==|=|<|>|~)|([()])|"([^"]*)"|'([^']*)'|([^\s<>=!~()"']+))""")
ORDERED = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
DATES = ("started",)
"""Values whose text is compared, because its order is that of time."""

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Token:
    kind: str  # operator, paren, text (in quotes) or word
    text: str


@dataclass(frozen=True)
class Condition:
    """A parsed condition.

    Attributes:
        names: of the values that it asks for.
        holds: whether the values of a run fulfill it.
    """

    names: tuple[str, ...]
    holds: Callable[[Values], bool]


def parse(text: str, *, option: str = "--where") -> Condition:
    """Parse a condition: comparisons by ``= != < <= > >=`` or ``~`` (contains), ``and``, ``or``, ``not``, parentheses.

    Numbers are compared as numbers, other values as text, without case. A run that lacks the value fulfills only
    ``!=``. A value that is a list, such as tags, fulfills ``=`` and ``~`` with any of its items.

    Raises:
        InputError: the text has another form.
    """
    if len(text) > MAX_LENGTH:
        raise InputError(f"{option}: must have at most {MAX_LENGTH} characters. Received {len(text):,}.")
    return _Parser(text, option).parse()


def matching(condition: Condition, runs: Sequence[Values], *, option: str = "--where") -> list[bool]:
    """Whether each run, given by its values, fulfills a condition.

    Raises:
        InputError: no run has a value of a name that the condition asks for.
    """
    for name in condition.names:
        if runs and all(name not in values for values in runs):
            known = sorted({known for values in runs for known in values})
            hint = did_you_mean(name, known) or f". Names are, for example: {', '.join(known[:12])}."
            raise InputError(f"{option}: no run has a value named '{escaped_line(name)}'{hint}")
    return [condition.holds(values) for values in runs]


class _Parser:
    """Recursive descent: any = all ("or" all)*, all = one ("and" one)*, one = "not" one | "(" any ")" | comparison.

    Depth is bounded, because so is Python's.
    """

    def __init__(self, text: str, option: str) -> None:
        self._option, self._text = option, text
        self._tokens = self._read()
        self._names: dict[str, None] = {}
        self._depth = 0

    def parse(self) -> Condition:
        holds = self._any()
        if self._tokens:
            raise self._error(f"before '{self._tokens[0].text}'")
        return Condition(tuple(self._names), holds)

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
        return InputError(f"{self._option}: expected {FORM}. Received an error {escaped_line(where)}.")

    def _next_is(self, kind: str, text: str) -> bool:
        if self._tokens and self._tokens[0] == Token(kind, text):
            del self._tokens[0]
            return True
        return False

    def _take(self, *kinds: str) -> str:
        if not self._tokens or self._tokens[0].kind not in kinds:
            raise self._error(f"at '{self._tokens[0].text}'" if self._tokens else "at the end")
        return self._tokens.pop(0).text

    def _any(self) -> Callable[[Values], bool]:
        parts = [self._all()]
        while self._next_is("word", "or"):
            parts.append(self._all())
        return lambda values: any(part(values) for part in parts)

    def _all(self) -> Callable[[Values], bool]:
        parts = [self._one()]
        while self._next_is("word", "and"):
            parts.append(self._one())
        return lambda values: all(part(values) for part in parts)

    def _one(self) -> Callable[[Values], bool]:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise InputError(f"{self._option}: must have at most {MAX_DEPTH} parentheses and negations in each other.")
        try:
            return self._negated_or_plain()
        finally:
            self._depth -= 1

    def _negated_or_plain(self) -> Callable[[Values], bool]:
        if self._next_is("word", "not"):
            negated = self._one()
            return lambda values: not negated(values)
        if self._next_is("paren", "("):
            inner = self._any()
            if not self._next_is("paren", ")"):
                raise self._error("where ')' is missing")
            return inner
        name, sign, value = self._take("word"), self._take("operator"), self._take("word", "text")
        self._names[name] = None
        return lambda values: compare(name, values.get(name), sign, value)


def compare(name: str, received: Any, sign: str, expected: str) -> bool:
    """Whether a value of a run fulfills one comparison."""
    if isinstance(received, (list, tuple)):
        if sign == "!=":
            return not any(compare(name, item, "=", expected) for item in received)
        return any(compare(name, item, sign, expected) for item in received)
    text, other = _text(received), expected.casefold()
    numbers = _number(text), _number(other)
    is_same = numbers[0] == numbers[1] if None not in numbers else text == other
    match sign:
        case "=" | "==":
            return received is not None and is_same
        case "!=":
            return received is None or not is_same
        case "~":
            return received is not None and other in text
    if received is None:
        return False
    if name in DATES:
        return bool(ORDERED[sign](text, other))
    one, bound = numbers
    return one is not None and bound is not None and bool(ORDERED[sign](one, bound))


def _text(value: Any) -> str:
    return ("null" if value is None else str(value)).casefold()


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """The values of nested mappings by their dotted keys, such as ``train.batch_size``."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
