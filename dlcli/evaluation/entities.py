"""Entities, such as names of persons, that tags mark word by word: their precision, recall and F1.

A tag is ``O``, outside of every entity, or a prefix and a type: ``B-PER`` begins an entity, ``I-PER`` continues it, and
in the schemes BIOES and BILOU ``E-`` or ``L-`` ends one, and ``S-`` or ``U-`` is an entity of one word. Sequences that
a scheme does not allow are read as conlleval does (Tjong Kim Sang and Buchholz 2000): an ``I-`` after ``O``, or of
another type than the word before, begins an entity.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

OUTSIDE = "O"
TAG = re.compile(r"(?s)([BIESLU])-(.+)")
SAME_PREFIX = {"L": "E", "U": "S"}  # of BILOU, in BIOES

Entity = tuple[str, int, int]
"""Its type, the position of its first word, and that after its last."""


def marks_entities(tags: Iterable[str]) -> bool:
    """Whether these are the tags of entities: all others than ``O`` have a prefix and a type, and one begins one."""
    prefixes = {None if (match := TAG.fullmatch(tag)) is None else match[1] for tag in tags if tag != OUTSIDE}
    return None not in prefixes and bool(prefixes & {"B", "S", "U"})


def entities(tags: Sequence[str]) -> list[Entity]:
    """The entities of a sentence, in the order of their words."""
    found: list[Entity] = []
    kind, start, before = "", 0, OUTSIDE  # of the entity that the word before is in, and the prefix of that word
    for position, tag in enumerate([*tags, OUTSIDE]):
        prefix, of_tag = _parts(tag)
        begins = prefix in ("B", "S") or (prefix != OUTSIDE and (before in (OUTSIDE, "E", "S") or of_tag != kind))
        if before != OUTSIDE and (begins or prefix == OUTSIDE):
            found.append((kind, start, position))
        if begins:
            kind, start = of_tag, position
        before = prefix
    return found


def count_illegal(tags: Sequence[str], *, ends_are_marked: bool) -> int:
    """The number of pairs of neighboring tags that the scheme does not allow, those at the sentence's ends included.

    Args:
        ends_are_marked: the scheme is BIOES or BILOU, where an entity that has begun must be continued or ended; else
            BIO.
    """
    illegal, before = 0, (OUTSIDE, "")
    for tag in [*tags, OUTSIDE]:
        prefix, kind = _parts(tag)
        continues = prefix in ("I", "E")
        must_continue = ends_are_marked and before[0] in ("B", "I")
        fits = before[0] in ("B", "I") and before[1] == kind
        illegal += (continues and not fits) or (must_continue and not continues)
        before = (prefix, kind)
    return illegal


def metrics(labels: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> dict[str, Any]:
    """The metrics of entities, for ``metrics.json``: an entity counts if its words and its type are all right.

    Args:
        labels, predicted: the tags of each sentence.

    Returns:
        ``entities``, the number of labeled ones; ``entity_precision``, ``entity_recall`` and ``entity_f1`` over all
        types, and ``macro_entity_f1``, the mean over the types; 0 where there is no entity.
    """
    rows = per_entity(labels, predicted)
    correct, labeled, found = (sum(row[key] for row in rows) for key in ("correct", "entities", "predicted"))
    return {
        "entities": labeled,
        "entity_precision": _ratio(correct, found),
        "entity_recall": _ratio(correct, labeled),
        "entity_f1": _ratio(2 * correct, labeled + found),
        "macro_entity_f1": _ratio(sum(row["f1"] for row in rows), len(rows)),
    }


def per_entity(labels: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    """The rows of ``per_entity.csv``: for each type of entity, labeled or predicted, its precision, recall and F1."""
    correct, labeled, found = Counter[str](), Counter[str](), Counter[str]()
    for of_labels, of_predicted in zip(labels, predicted, strict=True):
        one, other = entities(of_labels), entities(of_predicted)
        labeled.update(kind for kind, _, _ in one)
        found.update(kind for kind, _, _ in other)
        correct.update(kind for kind, _, _ in set(one) & set(other))
    return [
        {
            "entity": kind,
            "precision": _ratio(correct[kind], found[kind]),
            "recall": _ratio(correct[kind], labeled[kind]),
            "f1": _ratio(2 * correct[kind], labeled[kind] + found[kind]),
            "entities": labeled[kind],
            "predicted": found[kind],
            "correct": correct[kind],
        }
        for kind in sorted(labeled.keys() | found.keys())
    ]


def _parts(tag: str) -> tuple[str, str]:
    """The prefix of a tag, in BIOES, and its type."""
    match = TAG.fullmatch(tag)
    return (OUTSIDE, "") if match is None else (SAME_PREFIX.get(match[1], match[1]), match[2])


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
