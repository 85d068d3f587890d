"""What lies beside data without being data: files of operating systems, archives and tools, and documents; and what the
user leaves out.

It is left out and counted wherever folders are read, is never a class, and does not decide what a folder holds.
"""

import fnmatch
import re
from collections.abc import Sequence

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


def reason_of_exclusion(name: str, exclude: Sequence[str]) -> str | None:
    """Why a sample is left out whose name or path below the root fits a pattern such as ``*.gif``; None if none fits.

    Args:
        exclude: the patterns, as for :mod:`fnmatch`.
    """
    last = name.rpartition("/")[2]
    for pattern in exclude:
        if fnmatch.fnmatch(name, pattern) or fnmatch.fnmatch(last, pattern):
            return f"excluded by '{pattern}'"
    return None
