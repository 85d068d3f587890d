"""What lies beside data without being data: files of operating systems, archives and tools, and documents; and what the
user leaves out.

It is left out and counted wherever folders are read, is never a class, and does not decide what a folder holds.
"""

import fnmatch
import functools
import re
from collections.abc import Iterable, Sequence

WILDCARD = re.compile(r"[*?\[]")
SYSTEM = re.compile(
    r"thumbs\.db|ehthumbs(_vista)?\.db|desktop\.ini|icon\r|\$recycle\.bin|system volume information|"
    r"lost\+found|__macosx|__pycache__|@eadir|.*\.(tmp|temp|part|crdownload|swp|bak|cache)|.*~",
    re.IGNORECASE,
)
DOCUMENT = re.compile(
    r"(read[-_ ]?me|licen[cs]e|copying|notice|changelog|change[-_ ]log|citation|authors|contributing|credits)"
    r"([-_. ].*)?|source\.md|.*\.(md|rst|pdf|docx?|odt|rtf|html?|bib)",
    re.IGNORECASE,
)


def is_junk(name: str) -> bool:
    """Whether a file or folder of this name is left wherever it lies: hidden, or of a system, archive or tool."""
    return name.startswith(".") or SYSTEM.fullmatch(name) is not None


def is_document(name: str) -> bool:
    """Whether a file of this name describes the data: a README, a license, a Markdown or PDF file.

    Only for files beside the data: a folder of texts may hold a text called ``notice.txt`` or end in ``.html``.
    """
    return DOCUMENT.fullmatch(name) is not None


def reason_of_junk(name: str) -> str:
    """Why such a file or folder is left out."""
    return "hidden" if name.startswith(".") else "left by a system, archive or tool"


def pattern_of(name: str, exclude: Sequence[str]) -> str | None:
    """The first pattern such as ``*.gif`` that the name of a sample, or its path below the root, fits; None if none.

    Args:
        exclude: the patterns, as for :mod:`fnmatch`.
    """
    return _pattern_of(name, *_compiled(tuple(exclude)))


def unmatched(exclude: Sequence[str], names: Iterable[str]) -> list[str]:
    """The patterns that none of these names fits: of what was left out."""
    literal, others = _compiled(tuple(exclude))
    remaining = dict.fromkeys(exclude)
    for name in names:
        for part in {name, name.rpartition("/")[2]}:
            if part in literal:
                remaining.pop(part, None)
            for pattern, compiled in others:
                if pattern in remaining and compiled.match(part):
                    del remaining[pattern]
    return list(remaining)


@functools.lru_cache(maxsize=8)
def _compiled(exclude: tuple[str, ...]) -> tuple[frozenset[str], list[tuple[str, re.Pattern[str]]]]:
    """The patterns without wildcards, of which lists of copies have thousands, and the others."""
    others = [pattern for pattern in exclude if WILDCARD.search(pattern)]
    literal = frozenset(exclude).difference(others)
    return literal, [(pattern, re.compile(fnmatch.translate(pattern))) for pattern in others]


def _pattern_of(name: str, literal: frozenset[str], others: Sequence[tuple[str, re.Pattern[str]]]) -> str | None:
    last = name.rpartition("/")[2]
    for part in (name, last):
        if part in literal:
            return part
    return next((pattern for pattern, compiled in others if compiled.match(name) or compiled.match(last)), None)
