"""Finds the names that a misspelled one may stand for."""

from collections.abc import Iterable, Sequence

MAX_LENGTH = 60  # longer words are not typing errors


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """``; did you mean 'resnet'?``, or an empty string where no choice is similar."""
    names = nearest(word, choices)
    return f"; did you mean {' or '.join(repr(name) for name in names)}?" if names else ""


def nearest(word: str, choices: Iterable[str]) -> tuple[str, ...]:
    """The one or two choices that are most similar to a word; none if all are too different.

    A choice is similar if the word is the initials of its words, as ``lr`` of ``learning_rate``, else within one edit
    for every three characters. Where there is none, a choice that starts with the word is similar, or one that contains
    it between underscores, as ``size`` in ``image_size``.
    """
    if not word or len(word) > MAX_LENGTH:
        return ()
    lower = word.lower()
    sorted_choices = sorted({choice for choice in choices if len(choice) <= MAX_LENGTH})
    if meant := tuple(choice for choice in sorted_choices if _initials(choice) == lower):
        return meant[:2]
    distances = {choice: edit_distance(lower, choice.lower()) for choice in sorted_choices}
    smallest = min(distances.values(), default=len(word))
    if smallest <= (max(1, len(word) // 3) if len(word) > 2 else 0):
        return tuple(choice for choice in sorted_choices if distances[choice] == smallest)[:2]
    return tuple(
        choice
        for choice in sorted_choices
        if (len(word) >= 3 and choice.lower().startswith(lower)) or lower in choice.lower().split("_")
    )[:2]


def _initials(choice: str) -> str:
    """``lr`` for ``learning_rate``; empty for a single word."""
    parts = choice.lower().split("_")
    return "".join(part[:1] for part in parts) if len(parts) > 1 else ""


def edit_distance(a: Sequence[str], b: Sequence[str]) -> int:
    """How many characters must be inserted, deleted, replaced or swapped with their neighbor to turn a into b.

    The restricted Damerau-Levenshtein distance, by dynamic programming over the prefixes of both.
    """
    before_last: list[int] = []
    last = list(range(len(b) + 1))
    for i in range(1, len(a) + 1):
        row = [i]
        for j in range(1, len(b) + 1):
            distance = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1]))
            if i > 1 and j > 1 and a[i - 1] == b[j - 2] and a[i - 2] == b[j - 1]:
                distance = min(distance, before_last[j - 2] + 1)
            row.append(distance)
        before_last, last = last, row
    return last[-1]
