"""What ``dlcli data check`` finds, in words: copies, contradictions, classes that are missing or rare."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NUM_NAMED = 10  # samples named in one finding; --json has all
IMBALANCE = 10  # times more samples of the largest class than of the smallest are worth a note


@dataclass(frozen=True)
class Finding:
    """Something about the data that the user should know.

    Attributes:
        kind: a short name, such as "unreadable".
        is_problem: whether it makes the check fail; else it is a note.
        text: what was found, in a sentence.
        samples: what it was found in: names of samples, or lists of those that belong together.
    """

    kind: str
    is_problem: bool
    text: str
    samples: tuple[Any, ...]


@dataclass(frozen=True)
class Named:
    """The samples of all splits, one after another: what each is called, its split, and its label."""

    names: Sequence[str]
    splits: Sequence[str]
    labels: Sequence[str]


def about_alike(kind: str, groups: Sequence[Sequence[int]], samples: Named, noun: str, words: str) -> Iterator[Finding]:
    """What groups of samples that are alike mean: a leak, a contradiction, or only a waste."""
    across = [group for group in groups if len({samples.splits[i] for i in group}) > 1]
    contradictions = [group for group in groups if len({samples.labels[i] for i in group}) > 1]
    known = {id(group) for group in (*across, *contradictions)}
    rest = [group for group in groups if id(group) not in known]
    for is_problem, chosen, where in (
        (True, across, "in two splits"),
        (True, contradictions, "under two labels"),
        (False, rest, "in one split"),
    ):
        if chosen:
            yield alike(f"{kind} {where}", is_problem, chosen, samples.names, noun, f"{words} {where}")


def alike(
    kind: str, is_problem: bool, groups: Sequence[Sequence[int]], names: Sequence[str], noun: str, words: str
) -> Finding:
    """The finding of groups of samples, given by their positions."""
    named = tuple(tuple(names[i] for i in group) for group in groups)
    examples = "; ".join(" = ".join(group[:3]) for group in named[:NUM_NAMED])
    more = f"; … ({len(named)} in all)" if len(named) > NUM_NAMED else ""
    what = count(named, "pair" if all(len(group) == 2 for group in named) else "group")
    return Finding(kind, is_problem, f"{what} of {noun} {words}: {examples}{more}", named)


def about_counts(
    counts: Mapping[str, Mapping[str, int]], *, absent_is_problem: bool = True, has_weights: bool = True
) -> Iterator[Finding]:
    """Classes that a split lacks, and those that training has few samples of.

    Args:
        counts: of each split the samples of each class.
    """
    for name, of_class in counts.items():
        absent = tuple(label for label, number in of_class.items() if number == 0)
        if absent:
            is_problem = absent_is_problem or name == "train"
            yield Finding("class absent", is_problem, f"{name} has no sample of {some(absent)}", absent)
        largest, smallest = max(of_class.values()), min(of_class.values())
        if name == "train" and smallest and largest > IMBALANCE * smallest:
            few = tuple(label for label, number in of_class.items() if largest > IMBALANCE * number)
            text = f"the largest class has {largest / smallest:.0f} times the samples of the smallest: {some(few)}"
            yield Finding("imbalance", False, text + (". See train.class_weights" if has_weights else ""), few)


def some(names: Sequence[str]) -> str:
    """The first names, and how many there are."""
    shown = ", ".join(names[:NUM_NAMED])
    return f"{shown}, … ({len(names)} in all)" if len(names) > NUM_NAMED else shown


def count(names: Sequence[Any], noun: str) -> str:
    """``3 files``, ``1 file``."""
    return f"{len(names):,} {noun}{'' if len(names) == 1 else 's'}"
