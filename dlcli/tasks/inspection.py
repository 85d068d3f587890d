"""What ``dlcli data`` reports for every task: copies, contradicting labels, classes that are absent or rare."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from dlcli.recipe.language.fields import Section
from dlcli.rundir import replace_file, rows_text
from dlcli.tasks.job import AnyDataset

DataSection = TypeVar("DataSection", bound=Section)

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


def report(
    splits: Mapping[str, Mapping[str, int]],
    findings: Iterable[Finding],
    *,
    sizes: Mapping[str, int] | None = None,
    modes: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """What ``dlcli data check`` writes.

    Args:
        splits: of each split the samples of each class.
        sizes, modes: of image files, how many there are of each.
    """
    findings = list(findings)
    return {
        "splits": splits,
        "sizes": sizes or {},
        "modes": modes or {},
        "findings": [vars(finding) | {"samples": list(finding.samples)} for finding in findings],
        "problems": sum(finding.is_problem for finding in findings),
    }


def with_leakage(section: DataSection) -> DataSection:
    """A ``data`` section with ``allow_leakage``: samples that splits share are then reported instead of refused."""
    return section.model_copy(update={"allow_leakage": True}) if hasattr(section, "allow_leakage") else section


def about_warnings(dataset: AnyDataset) -> Iterator[Finding]:
    """The data set's warnings, but for those that the findings tell in full, and what it left out."""
    for warning in dataset.warnings:
        if warning.kind not in ("classes", "leakage"):
            yield Finding("warning", False, warning.text.rstrip("."), ())
    if dataset.left_out:
        names = [f"{left.name} ({left.reason})" for left in dataset.left_out]
        yield Finding("left out", False, f"{len(names):,} left out: {some(names)}", tuple(names))


def write_split_table(dataset: AnyDataset, output: Path | None) -> None:
    """Writes the rows of split.csv; nothing where no file is named."""
    if output is not None:
        replace_file(output, rows_text(dataset.split_rows()))
