"""Chooses the split to evaluate."""

from collections.abc import Collection
from pathlib import Path

from dlcli.errors import InputError
from dlcli.rundir.directory import RunDir

OWN_DATA = "the run's own"  # what metrics.json names as the data if no other were given


def first_split(splits: Collection[str]) -> str:
    """The split to evaluate if none is requested: test, else validation, else train."""
    return next(name for name in ("test", "validation", "train") if name in splits)


def own_split(run: RunDir, splits: Collection[str], requested: str | None) -> str:
    """The split of a run's own data to evaluate: the requested one, or the first of test, validation and train.

    Raises:
        InputError: there is no such split.
    """
    name = requested or first_split(splits)
    if name not in splits:
        raise InputError(f"{run.path}: its data have no {name} split. Available: {', '.join(splits)}.")
    return name


def other_split(data: Path, splits: Collection[str], requested: str | None) -> str:
    """The split of other data to evaluate; if the data are not divided, all of them.

    Raises:
        InputError: there is no such split, or one is requested and the data are not divided.
    """
    if requested is not None and len(splits) == 1:
        raise InputError(f"--split: {data} is not divided into splits and is evaluated as a whole. Omit --split.")
    name = requested or first_split(splits)
    if name not in splits:
        raise InputError(f"{data}: has no {name} split. Available: {', '.join(splits)}.")
    return name
