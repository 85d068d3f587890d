"""Chooses the split to evaluate."""

from collections.abc import Collection
from pathlib import Path

from dlcli.errors import InputError
from dlcli.rundir import RunDir

OWN_DATA = "the run's own"  # what metrics.json says of data that are not named


def first_split(splits: Collection[str]) -> str:
    """The split that is measured where none is named: test, else validation, else train."""
    return next(name for name in ("test", "validation", "train") if name in splits)


def own_split(run: RunDir, splits: Collection[str], asked: str | None) -> str:
    """The split of a run's own data to measure: the one that is asked for.

    Raises:
        InputError: there is no such split.
    """
    name = asked or first_split(splits)
    if name not in splits:
        raise InputError(f"{run.path}: its data have no {name} split; they have {', '.join(splits)}.")
    return name


def other_split(data: Path, splits: Collection[str], asked: str | None) -> str:
    """The same of other data, which may be undivided.

    Raises:
        InputError: there is no such split, or one is asked for where there are none.
    """
    if asked is not None and len(splits) == 1:
        raise InputError(f"--split: {data} is not divided, and measured as a whole; leave it out.")
    name = asked or first_split(splits)
    if name not in splits:
        raise InputError(f"{data}: has no {name} split; it has {', '.join(splits)}.")
    return name
