"""Showing text that came from outside: names, labels, members of archives and what a stranger's run says.

A terminal obeys control characters, and right-to-left marks reorder what is read. The places where text leaves the
program (console, results, errors, headers of CSV files) write them as escapes.
"""

import json
import re
from typing import Any

UNSAFE = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
"""Control characters but tab and line feed, bidirectional controls, line and paragraph separators, and surrogates.

U+200C and U+200D, which Persian and emoji need, are safe.
"""
_UNSAFE = re.compile(f"[{UNSAFE}]")
_UNSAFE_IN_LINE = re.compile(f"[{UNSAFE}\t\n]")


def escaped(text: str) -> str:
    """The text, which may have several lines, with unsafe characters as escapes such as ``\\x1b``."""
    return _UNSAFE.sub(_escape, text)


def escaped_line(text: str) -> str:
    """The text as one line: as :func:`escaped`, with escapes for tabs and line feeds too."""
    return _UNSAFE_IN_LINE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    return ascii(match[0])[1:-1]


def json_text(value: Any, *, indent: int | None = 2, allow_nan: bool = True) -> str:
    """A JSON document with unsafe characters as ``\\u001b``, which reads back as the same value."""
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=allow_nan)
    return unicode_escaped(text)  # outside of strings JSON has none


def describe_bad_json(error: ValueError | RecursionError) -> str:
    """What is wrong with a document that :func:`json.loads` refuses: where it stops being JSON, without its jargon."""
    match error:
        case json.JSONDecodeError():
            return f"it is not valid JSON from line {error.lineno}, column {error.colno}"
        case UnicodeDecodeError():
            return "it has bytes that are not UTF-8"
        case RecursionError():
            return "its lists or objects are nested too deeply"
        case _:
            return "it has a number with too many digits"


def unicode_escaped(text: str) -> str:
    """The text with unsafe characters as escapes that JSON and YAML read in double quotes: ``\\u202e``."""
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
