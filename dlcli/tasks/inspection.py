"""What ``dlcli data`` reports for every task: duplicates, conflicting labels, missing and rare classes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from dlcli.data.leakage import describe_absent, describe_similar, similar_names
from dlcli.data.splits import LeftOut
from dlcli.recipe.language.fields import Section
from dlcli.rundir.tables import rows_text
from dlcli.rundir.writing import replace_file
from dlcli.tasks.job import AnyDataset

DataSection = TypeVar("DataSection", bound=Section)

NUM_NAMED = 10  # samples named in one finding; --json lists all
IMBALANCE = 10  # a ratio of the largest class to the smallest above this is reported


@dataclass(frozen=True)
class Finding:
    """A problem or a noteworthy property of the data.

    Attributes:
        kind: a short name, such as "unreadable".
        is_problem: whether it makes the check fail; otherwise it is a note.
        text: a description in one sentence.
        samples: the names of the samples concerned, or groups of names that belong together.
    """

    kind: str
    is_problem: bool
    text: str
    samples: tuple[Any, ...]


@dataclass(frozen=True)
class NamedSamples:
    """The samples of all splits, one after another: the name, split and label of each.

    Attributes:
        labels: what copies must agree in, as text: the class, or all numbers or labels to predict.
        nouns: what these are: labels, numbers or masks.
    """

    names: Sequence[str]
    splits: Sequence[str]
    labels: Sequence[str]
    nouns: str = "labels"


def duplicate_findings(
    kind: str, groups: Sequence[Sequence[int]], samples: NamedSamples, description: str
) -> Iterator[Finding]:
    """The findings about groups of duplicates: leakage between splits, conflicting labels, or mere redundancy.

    Args:
        kind: ``duplicates`` or ``near duplicates``.
        groups: positions of the samples in each group.
        description: names the samples in the text, such as "byte-identical images".
    """
    leaks = [group for group in groups if len({samples.splits[i] for i in group}) > 1]
    conflicts = [group for group in groups if len({samples.labels[i] for i in group}) > 1]
    reported = {id(group) for group in (*leaks, *conflicts)}
    redundant = [group for group in groups if id(group) not in reported]
    for is_problem, chosen, where in (
        (True, leaks, "across splits"),
        (True, conflicts, f"with different {samples.nouns}"),
        (False, redundant, "within a split"),
    ):
        if chosen:
            yield group_finding(f"{kind} {where}", is_problem, chosen, samples.names, f"{description} {where}")


def group_finding(
    kind: str, is_problem: bool, groups: Sequence[Sequence[int]], names: Sequence[str], description: str
) -> Finding:
    """The finding about groups of samples, given by their positions in ``names``."""
    named = tuple(tuple(names[i] for i in group) for group in groups)
    examples = "; ".join(" = ".join(group[:3]) for group in named[:NUM_NAMED])
    more = f"; … ({len(named)} in total)" if len(named) > NUM_NAMED else ""
    noun = "pair" if all(len(group) == 2 for group in named) else "group"
    return Finding(kind, is_problem, f"{count(named, noun)} of {description}: {examples}{more}", named)


def class_findings(
    counts: Mapping[str, Mapping[str, int]],
    *,
    remedies: str = "train.class_weights and data.sampling",
    is_refused: bool = False,
) -> Iterator[Finding]:
    """The findings about classes that a split lacks, about names that look alike, and about imbalance in train.

    A class missing from train makes the check fail; one missing from another split is a note, because training only
    warns about it, in the same words.

    Args:
        counts: the number of samples of each class, by split.
        is_refused: whether another finding says why classes missing from train are refused.
        remedies: the keys of the task that help against imbalance.
    """
    train = counts.get("train", {})
    for name, of_class in counts.items():
        absent = tuple(
            label for label, number in of_class.items() if number == 0 and (name == "train" or train.get(label, 0))
        )
        if absent and not (name == "train" and is_refused):
            yield Finding("missing class", name == "train", describe_absent(name, absent, len(of_class)), absent)
        largest, smallest = max(of_class.values()), min(of_class.values())
        if name == "train" and smallest and largest > IMBALANCE * smallest:
            few = tuple(label for label, number in of_class.items() if largest > IMBALANCE * number)
            text = f"the largest class has {largest / smallest:.0f} times as many samples as the smallest: {some(few)}"
            yield Finding("imbalance", False, f"{text}. See {remedies}", few)
    yield from similar_findings(list(train))


def similar_findings(names: Sequence[str], *, nouns: str = "classes") -> Iterator[Finding]:
    """The finding about classes, or labels, whose names differ only in case."""
    if similar := similar_names(names):
        yield Finding(f"similar {nouns}", False, describe_similar(similar, nouns=nouns), tuple(map(tuple, similar)))


def some(names: Sequence[str]) -> str:
    """The first names, with the total number if not all are shown."""
    shown = ", ".join(names[:NUM_NAMED])
    return f"{shown}, … ({len(names)} in total)" if len(names) > NUM_NAMED else shown


def count(names: Sized, noun: str) -> str:
    """``3 files``, ``1 file``."""
    return f"{len(names):,} {noun}{'' if len(names) == 1 else 's'}"


def report(
    splits: Mapping[str, Mapping[str, int]],
    findings: Iterable[Finding],
    *,
    sizes: Mapping[str, int] | None = None,
    modes: Mapping[str, int] | None = None,
    exclude: Sequence[str] | None = None,
) -> dict[str, Any]:
    """The report of ``dlcli data check``.

    Args:
        splits: the number of samples of each class, by split.
        sizes, modes: the number of image files of each size and color mode.
        exclude: the value of ``data.exclude`` with which no copies remain; None if the data have no such key.
    """
    findings = list(findings)
    return {
        "splits": splits,
        "sizes": sizes or {},
        "modes": modes or {},
        "findings": [vars(finding) | {"samples": list(finding.samples)} for finding in findings],
        "problems": sum(finding.is_problem for finding in findings),
        **({} if exclude is None else {"exclude": list(exclude)}),
    }


def with_leakage(section: DataSection) -> DataSection:
    """A ``data`` section with ``allow_leakage``, so that samples shared between splits are reported, not refused."""
    return section.model_copy(update={"allow_leakage": True}) if hasattr(section, "allow_leakage") else section


def warning_findings(dataset: AnyDataset) -> Iterator[Finding]:
    """The data set's warnings, except those that other findings report in full, and what was skipped."""
    for warning in dataset.warnings:
        if warning.kind not in ("classes", "leakage"):
            yield Finding("warning", False, warning.text.rstrip("."), ())
    if dataset.left_out:
        names = [f"{left.name} ({left.reason})" for left in dataset.left_out]
        yield Finding("skipped", False, f"{len(names):,} skipped: {some(names)}", tuple(names))


def write_split_table(dataset: AnyDataset, output: Path | None) -> None:
    """Write the rows of split.csv to ``output``; nothing if it is None."""
    if output is not None:
        replace_file(output, rows_text(dataset.split_rows()))


def incomplete_findings(left_out: Sequence[LeftOut], *, stops: bool) -> Iterator[Finding]:
    """The rows that are left out because a value to predict is missing.

    Args:
        stops: whether training would stop, which makes it a problem.
    """
    missing = [item for item in left_out if item.kind == "incomplete"]
    if missing:
        named = tuple(item.name for item in missing)
        shown = some([f"{item.name} ({item.reason})" for item in missing])
        text = f"{count(named, 'row')} without a value (data.on_missing): {shown}"
        yield Finding("missing value", stops, text, named)
