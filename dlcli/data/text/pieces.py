"""The parts of a raw text that its tokens were made from, as they were written."""

import re
import string
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

WHITE_SPACE = re.compile(r"[ \t\n\v\f\r]+")  # what TensorFlow splits words at
PUNCTUATION = frozenset(string.punctuation)  # what Keras strips


def pieces(text: str, *, unit: str, strips_punctuation: bool) -> list[str]:
    """The word or character that each token of a text was made from; what is stripped to nothing makes no token.

    Args:
        unit: words or characters.
        strips_punctuation: the text is standardized by stripping ASCII punctuation.
    """
    parts: Sequence[str] = [part for part in WHITE_SPACE.split(text) if part] if unit == "words" else text
    return [part for part in parts if not (strips_punctuation and PUNCTUATION.issuperset(part))]


def num_bytes(parts: Sequence[str]) -> NDArray[np.int64]:
    """The number of bytes of each part in UTF-8, ``[n]``; a lone surrogate counts as one."""
    return np.array([len(part.encode("utf-8", "replace")) for part in parts], np.int64)
